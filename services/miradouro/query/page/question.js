// A question and its address: the URL holds everything but the pixels of a photo.

const KINDS = ["keyword", "text", "like", "photo"];

/** The question of an address: {kind, value, collection, space, more}; kind is "" without a question. */
export function questionAt(search) {
  const said = new URLSearchParams(search);
  const kind = KINDS.find((one) => said.has(one)) ?? "";
  return {
    kind,
    value: kind ? said.get(kind) : "",
    collection: said.get("collection") ?? "",
    space: said.get("space") ?? "",
    more: said.has("more") && comparesPictures(kind),
  };
}

/** The address of a question, relative to the page. */
export function addressOf({ kind, value, collection, space, more = false }) {
  const said = new URLSearchParams();
  if (kind) said.set(kind, value);
  if (collection) said.set("collection", collection);
  if (space && comparesPictures(kind)) said.set("space", space);
  if (more && comparesPictures(kind)) said.set("more", "1");
  const text = said.toString();
  return text ? `/?${text}` : "/";
}

/** Whether a space applies: questions in words have none. */
export function comparesPictures(kind) {
  return kind === "like" || kind === "photo";
}

/** The words of a keyword question: "golden retriever, cat" are two. */
export function tagsIn(text) {
  return text.split(",").map((tag) => tag.trim()).filter(Boolean);
}
