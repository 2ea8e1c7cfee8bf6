// The client of the HTTP API.

import { comparesPictures, tagsIn } from "/page/question.js";

export const PAGE_SIZE = 48;
export const MAX_PHOTO_BYTES = 32 * 1024 * 1024;

/** An error of the server, with its message. */
export class Refused extends Error {}

/** A page of hits. `photo` is the file of a question by photo; `token` that of the page before. */
export async function search(question, { photo, token, signal }) {
  const rest = { limit: PAGE_SIZE };
  if (question.collection) rest.collection = question.collection;
  if (question.space && comparesPictures(question.kind)) rest.space = question.space;
  if (question.more) rest.more = true;
  if (token) rest.pageToken = token;
  if (question.kind === "photo") {
    if (photo.size > MAX_PHOTO_BYTES) {
      throw new Refused(`${photo.name} has ${photo.size.toLocaleString("en")} bytes; a photo may have ${MAX_PHOTO_BYTES.toLocaleString("en")}.`);
    }
    return answer(`/v1/search/photo?${new URLSearchParams(rest)}`, { method: "POST", body: photo, signal });
  }
  const asked = { ...rest, ...sought(question) };
  return post(asked, signal);
}

/** The sizes of all collections. */
export function stats() {
  return answer("/v1/stats", {});
}

/** A few photos of a collection, the newest first, and its most frequent tags. */
export function overview(collection, signal) {
  const facets = [{ field: "FACET_FIELD_TAG", size: 12 }];
  const asked = { everything: {}, sort: "SORT_ORDER_TAKEN", limit: 18, facets, ...(collection && { collection }) };
  return post(asked, signal);
}

/** The stored document of a photo. */
export async function photo(collection, photoId, signal) {
  return (await answer(`/v1/photos/${place(collection, photoId)}`, { signal })).photo;
}

export function thumbnailAddress(collection, photoId, size) {
  return `/thumbnails/${place(collection, photoId)}?size=${size}`;
}

export function originalAddress(collection, photoId) {
  return `/photos/${place(collection, photoId)}`;
}

function sought({ kind, value }) {
  if (kind === "keyword") return { keyword: { words: tagsIn(value) } };
  if (kind === "text") return { text: { text: value } };
  return { like: { photoId: value } };
}

function place(collection, photoId) {
  return `${encodeURIComponent(collection)}/${encodeURIComponent(photoId)}`;
}

function post(asked, signal) {
  const headers = { "Content-Type": "application/json" };
  return answer("/v1/search", { method: "POST", headers, body: JSON.stringify(asked), signal });
}

async function answer(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("Miradouro does not answer. Is `miradouro up` still running?");
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(`The answer (${response.status}) is not the JSON of Miradouro.`);
  }
  if (!response.ok) throw new Refused(answer.error?.message ?? `The answer was ${response.status}.`);
  return answer;
}
