// The page: takes a question from the form, a link, a dropped photo or the address, and shows its answer.

import { overview, photo as photoOf, Refused, search, stats } from "/page/door.js";
import { addressOf, comparesPictures, questionAt, tagsIn } from "/page/question.js";
import { element, exampleCard, fileName, given, photoItem, preview, statusLine, tagItem, thumbnail, wallItem } from "/page/view.js";

const USUAL_COLLECTION = "photos";
const ANSWERS_KEPT = 20; // going back shows them at once
const at = Object.fromEntries(
  ["ask", "choose", "collection", "collections", "common", "drop", "example", "file", "holding", "main", "more", "results", "space", "spaces", "status", "trouble", "veil", "wall", "welcome", "words"].map((id) => [id, document.getElementById(id)]),
);
const files = new Map(); // the example photos of this page view
const answers = new Map(); // address → {hits, last}
let question = questionAt(location.search);
let held = []; // collections
let asking = new AbortController();

// --- asking

function go(next) {
  history.pushState({}, "", addressOf(next));
  answers.delete(location.href); // reload
  window.scrollTo(0, 0);
  show();
}

async function show() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  question = questionAt(location.search);
  fillForm();
  at.trouble.hidden = true;
  at.welcome.hidden = Boolean(question.kind);
  document.title = question.kind ? `${titleOf(question)} · Miradouro` : "Miradouro";
  try {
    await showExample(signal);
    if (!question.kind) return await welcome(signal);
    if (question.kind === "keyword" && !tagsIn(question.value).length) throw new Refused("Type a tag first, for example dog.");
    const kept = answers.get(location.href);
    if (kept) return showAnswer(kept);
    at.main.setAttribute("aria-busy", "true");
    const last = await search(question, { photo: fileOf(question), signal });
    remember({ hits: last.hits, last });
  } catch (error) {
    fail(error, signal);
  } finally {
    if (!signal.aborted) at.main.setAttribute("aria-busy", "false");
  }
}

async function more() {
  const { signal } = asking;
  const { hits, last } = answers.get(location.href);
  at.more.disabled = true;
  try {
    const next = await search(question, { photo: fileOf(question), token: last.nextPageToken, signal });
    if (signal.aborted) return;
    remember({ hits: [...hits, ...next.hits], last: next });
    at.results.children[hits.length]?.querySelector("a")?.focus({ preventScroll: true });
  } catch (error) {
    fail(error, signal);
  } finally {
    at.more.disabled = false;
  }
}

function byPhoto(file) {
  if (!file) return;
  const key = `${files.size + 1}-${file.name}`;
  files.set(key, file);
  go({ ...question, kind: "photo", value: key, collection: given(at.collection.value) });
}

function fileOf({ kind, value }) {
  if (kind !== "photo") return null;
  const file = files.get(value);
  if (!file) throw new Refused("The page was reloaded and lost the photo of this question. Drop it again.");
  return file;
}

// --- showing

function remember(answer) {
  answers.delete(location.href);
  answers.set(location.href, answer);
  if (answers.size > ANSWERS_KEPT) answers.delete(answers.keys().next().value);
  showAnswer(answer);
}

function showAnswer({ hits, last }) {
  const where = { collection: collectionOf(question), space: question.space };
  at.main.setAttribute("aria-busy", "false");
  at.status.replaceChildren(...statusLine(question, last, hits.length));
  const added = hits.slice(isContinued(hits) ? at.results.children.length : 0).map((hit) => photoItem(hit, where));
  if (isContinued(hits)) at.results.append(...added);
  else at.results.replaceChildren(...added);
  at.results.shown = hits;
  at.more.hidden = !last.nextPageToken;
}

function isContinued(hits) {
  const shown = at.results.shown ?? [];
  return shown.length > 0 && shown.length < hits.length && shown[0] === hits[0];
}

async function welcome(signal) {
  clear();
  const collection = collectionOf(question);
  if (!held.some((one) => one.name === collection && Number(one.photos))) {
    for (const list of [at.common, at.wall]) list.replaceChildren();
    return;
  }
  const found = await overview(question.collection, signal);
  at.common.replaceChildren(...found.facets[0].counts.map(({ value, photos }) => tagItem(value, `${photos} photos`, collection)));
  at.wall.replaceChildren(...found.hits.map((hit) => wallItem(hit, collection)));
}

function clear() {
  at.status.replaceChildren();
  at.results.replaceChildren();
  at.results.shown = [];
  at.more.hidden = true;
}

function fail(error, signal) {
  if (signal.aborted) return;
  if (!(error instanceof Refused)) throw error;
  clear();
  at.trouble.replaceChildren(element("h2", { textContent: "That did not work" }), element("p", { textContent: error.message }));
  at.trouble.hidden = false;
}

async function showExample(signal) {
  const cards = await exampleOf(signal);
  if (signal.aborted) return;
  at.example.replaceChildren(...cards);
  at.example.hidden = cards.length === 0;
}

async function exampleOf(signal) {
  if (question.kind === "photo") {
    const file = fileOf(question);
    return exampleCard(await preview(file), "Photos like yours", file.name, question);
  }
  if (question.kind !== "like") return [];
  const collection = collectionOf(question);
  const found = await photoOf(collection, question.value, signal);
  const text = found.title || found.caption || fileName(found.photoId);
  return exampleCard(thumbnail(collection, found.photoId, text), "Photos like this one", text, question);
}

function titleOf({ kind, value }) {
  if (kind === "like") return `Like ${fileName(value)}`;
  return kind === "photo" ? "Like your photo" : value;
}

function collectionOf({ collection }) {
  return collection || USUAL_COLLECTION;
}

// --- the form

function fillForm() {
  const isWords = question.kind === "keyword" || question.kind === "text";
  if (isWords) at.ask.elements.kind.value = question.kind;
  at.words.value = isWords ? question.value : "";
  fillSpaces();
  at.collection.value = collectionOf(question);
}

function fillCollections() {
  const usual = held.some((one) => one.name === USUAL_COLLECTION) || !held.length;
  at.collection.replaceChildren(...held.map(({ name }) => element("option", { value: name, textContent: name })));
  at.collection.value = collectionOf(question);
  at.collections.hidden = held.length < 2 && usual;
  const photos = held.reduce((sum, one) => sum + Number(one.photos), 0);
  const count = `${photos.toLocaleString("en")} ${photos === 1 ? "photo" : "photos"}`;
  at.holding.textContent = photos ? `${count}${held.length > 1 ? ` in ${held.length} collections` : ""}, ready to be looked through.` : "No photo is indexed yet: `miradouro index DIR` does it.";
  if (!usual && !question.collection && !question.kind) {
    question = { ...question, collection: held[0].name };
    history.replaceState({}, "", addressOf(question));
    at.collection.value = held[0].name;
  }
}

function fillSpaces() {
  const spaces = held.find((one) => one.name === collectionOf(question))?.spaces ?? [];
  const groups = new Map();
  for (const { name } of spaces) {
    const [bundle, ...rest] = name.split("/");
    if (!groups.has(bundle)) groups.set(bundle, element("optgroup", { label: bundle }));
    groups.get(bundle).append(element("option", { value: name, textContent: rest.join(" / ") }));
  }
  at.space.replaceChildren(element("option", { value: "", textContent: "what they show" }), ...groups.values());
  at.space.value = question.space;
  if (at.space.selectedIndex < 0) at.space.append(element("option", { value: question.space, textContent: question.space, selected: true }));
  at.spaces.hidden = !comparesPictures(question.kind);
}

// --- wiring

at.ask.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = at.words.value.trim();
  if (words) go({ kind: at.ask.elements.kind.value, value: words, collection: given(at.collection.value), space: "" });
  else at.words.focus();
});
at.ask.addEventListener("change", (event) => {
  const words = at.words.value.trim();
  if (event.target.name !== "kind") return;
  at.words.placeholder = event.target.value === "text" ? "red boat, \"custard tart\", -cream …" : "dog, teapot, viaduct …";
  if (words && question.kind) go({ ...question, kind: event.target.value, value: words });
});
at.space.addEventListener("change", () => go({ ...question, space: at.space.value }));
at.collection.addEventListener("change", () => {
  const stays = question.kind === "keyword" || question.kind === "text" || question.kind === "photo";
  go({ ...question, ...(stays ? {} : { kind: "", value: "" }), collection: given(at.collection.value), space: "" });
});
for (const button of [at.choose, at.drop]) button.addEventListener("click", () => at.file.click());
at.file.addEventListener("change", () => {
  byPhoto(at.file.files[0]);
  at.file.value = "";
});
at.more.addEventListener("click", more);

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/?'], a.brand");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(questionAt(new URL(link.href).search));
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  at.words.focus();
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) byPhoto(file);
});
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  at.veil.hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) at.veil.hidden = true;
});
document.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  at.veil.hidden = true;
  byPhoto(event.dataTransfer.files[0]);
});
window.addEventListener("popstate", show);

async function begin() {
  try {
    held = (await stats()).collections;
    fillCollections();
  } catch (error) {
    fail(error, asking.signal);
  }
  show();
}

begin();
