// The elements of the page. Texts of photos are untrusted: they are set as text, never as markup.

import { originalAddress, thumbnailAddress } from "/page/door.js";
import { addressOf } from "/page/question.js";

const TAGS_SHOWN = 4;
const SURE = 0.1; // labels below this probability are noise to people
const SVG = "http://www.w3.org/2000/svg";

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A hit: the picture, which links to similar photos, and its metadata. */
export function photoItem(hit, { collection, space }) {
  const like = addressOf({ kind: "like", value: hit.photoId, collection: given(collection), space });
  const name = nameOf(hit);
  const view = element(
    "a",
    { className: "view", href: like, title: "Find photos like this one" },
    thumbnail(collection, hit.photoId, `${name}; find photos like it`),
    element("span", { className: "near", textContent: nearness(hit) }),
  );
  const item = element("li", { className: "photo" }, view);
  if (hit.uri) item.append(openLink(originalAddress(collection, hit.photoId), name));
  if (hit.title) item.append(marked("h3", {}, hit.title, hit.titleParts));
  if (hit.caption) item.append(captionOf(hit));
  if (hit.tags.length) item.append(tagList(hit.tags, collection));
  item.append(element("p", { className: "file", textContent: fileName(hit.photoId), title: hit.photoId }));
  return item;
}

/** A photo of the wall: the picture alone. */
export function wallItem(hit, collection) {
  const href = addressOf({ kind: "like", value: hit.photoId, collection: given(collection), space: "" });
  const name = nameOf(hit);
  return element("li", {}, element("a", { className: "view", href, title: name }, thumbnail(collection, hit.photoId, `${name}; find photos like it`)));
}

/** A tag, which links to its photos. */
export function tagItem(label, title, collection, className = "") {
  const href = addressOf({ kind: "keyword", value: label, collection: given(collection), space: "" });
  return element("li", { className }, element("a", { href, title, textContent: label }));
}

/** A small picture of a photo of the index, or a notice when it cannot be loaded. */
export function thumbnail(collection, photoId, alt) {
  const src = thumbnailAddress(collection, photoId, 640);
  const image = element("img", { loading: "lazy", decoding: "async", width: 320, height: 240, alt, src });
  image.addEventListener("error", () => {
    image.parentElement?.classList.add("gone");
    image.remove();
  });
  return image;
}

/** "12 photos · exact · 8 ms", with the parts that apply. */
export function statusLine(question, answer, shown) {
  const total = Number(answer.total);
  if (!total) return ["No photo was found."];
  const photos = `${answer.totalIsExact ? "" : "at least "}${total.toLocaleString("en")} ${total === 1 ? "photo" : "photos"}`;
  const rest = [answer.exact ? "exact" : "approximate", `${Math.max(1, Math.round(answer.tookMs))} ms`];
  if (answer.hits[0]?.space) rest.unshift(`compared in ${answer.hits[0].space}`);
  if (answer.mixedIn?.length) rest.unshift(`mixed with ${answer.mixedIn.map(fileName).join(", ")}`);
  if (answer.truncated) rest.unshift("more lie within the distance than can be shown");
  const count = shown < total ? [element("b", { textContent: shown.toLocaleString("en") }), ` of ${photos}`] : [element("b", { textContent: photos })];
  return [...count, ` · ${rest.join(" · ")}`];
}

/** The card of an example photo, with the way to more photos of its kind, or back from them. */
export function exampleCard(picture, title, text, question) {
  const about = element("div", {}, element("h2", { textContent: title }), element("p", { textContent: text }));
  if (!question.space.endsWith("/regions")) about.append(kindLink(question));
  return [picture, about];
}

function kindLink(question) {
  const href = addressOf({ ...question, more: !question.more });
  const textContent = question.more ? "Like this one alone" : "More of this kind";
  const title = question.more ? "Compare with the example alone" : "Mix the first three photos into the example and ask again";
  return element("p", {}, element("a", { className: "kind", href, textContent, title }));
}

/** The pixels of a file, upright, on a canvas: the policy of this page lets no other picture in. */
export async function preview(file) {
  const canvas = element("canvas", { width: 320, height: 240, role: "img", ariaLabel: file.name });
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return canvas; // not a picture, or not in this browser: the server reports it
  }
  const scale = Math.min(1, 640 / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

export function fileName(photoId) {
  return photoId.split("/").pop() || photoId;
}

/** A collection in an address: the default one is left out. */
export function given(collection) {
  return collection === "photos" ? "" : collection;
}

function nameOf(hit) {
  return hit.title || hit.caption || fileName(hit.photoId);
}

function nearness(hit) {
  return hit.distance === undefined ? `score ${hit.score.toFixed(2)}` : `distance ${hit.distance.toFixed(2)}`;
}

function captionOf(hit) {
  if (!hit.captionIsGenerated) return marked("p", { className: "caption" }, hit.caption, hit.captionParts);
  return marked("p", { className: "caption made", title: "This caption was made from the tags" }, hit.caption, hit.captionParts);
}

/** A text whose words that were found are marked. */
function marked(name, properties, text, parts) {
  if (!parts?.length) return element(name, { ...properties, textContent: text });
  return element(name, properties, ...parts.map((part) => (part.isMatch ? element("mark", { textContent: part.text }) : part.text)));
}

function tagList(tags, collection) {
  const list = element("ul", { className: "tags", ariaLabel: "Tags" });
  for (const tag of tags.filter((one) => one.score >= SURE).slice(0, TAGS_SHOWN)) {
    const isMine = tag.kind === "TAG_KIND_USER";
    list.append(tagItem(tag.label, isMine ? "Given by a person" : `${Math.round(tag.score * 100)} %`, collection, isMine ? "mine" : ""));
  }
  return list;
}

function openLink(href, name) {
  const icon = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", width: "16", height: "16", "aria-hidden": "true" })) icon.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", "M8 5h11v11M19 5 6 18");
  icon.append(path);
  return element("a", { className: "open", href, target: "_blank", rel: "noopener", title: "Open the original", ariaLabel: `Open the original of ${name}` }, icon);
}
