// Marks the words a citation names: #cite-START-STOP counts code points of the document's text,
// half-open, and each page's data-start says which of them it begins with.

const pages = [...document.querySelectorAll(".words")];
const notice = document.querySelector("#notice");
const original = document.querySelector("#original");
const text = document.querySelector("#text");

let marks = []; // several where the words run over the end of a page

function open() {
  clear();
  if (!location.hash.startsWith("#cite-")) return openPage();
  const [, start, stop] = location.hash.match(/^#cite-(\d{1,12})-(\d{1,12})$/)?.map(Number) ?? [];
  marks = start < stop ? mark(start, stop) : [];
  if (!marks.length) return tell("The address names no words of this document: none are marked.");
  const page = marks[0].closest(".page").id.replace("page-", "");
  tell(`${page && `Page ${page}, `}${text.dataset.title}`);
  if (page) linkOriginal(page);
  show();
}

function openPage() {
  if (location.hash) return;
  const { page } = text.dataset;
  if (page) document.querySelector(`#page-${page}`)?.scrollIntoView();
}

function mark(start, stop) {
  const from = pages.findLastIndex((page) => Number(page.dataset.start) <= start);
  const rest = from < 0 ? [] : pages.slice(from);
  const beyond = rest.findIndex((page) => Number(page.dataset.start) >= stop);
  const within = beyond < 0 ? rest : rest.slice(0, beyond);
  const ranges = within.flatMap((page) => rangesIn(page, start, stop));
  const last = ranges.at(-1);
  if (!last || last.end < stop) return []; // beyond the end of the document
  return ranges.map(wrap);
}

/** The parts of a page's text nodes that lie within the given code points. */
function rangesIn(page, start, stop) {
  const ranges = [];
  let at = Number(page.dataset.start);
  // A browser cuts a long text into several nodes.
  for (const node of page.childNodes) {
    if (at >= stop) break;
    let first = -1;
    let index = 0;
    for (; index < node.data.length && at < stop; at += 1) {
      if (at >= start && first < 0) first = index;
      index += node.data.codePointAt(index) > 0xffff ? 2 : 1;
    }
    if (first >= 0) ranges.push({ node, first, after: index, end: at });
  }
  return ranges;
}

function wrap({ node, first, after }) {
  const range = document.createRange();
  range.setStart(node, first);
  range.setEnd(node, after);
  const marked = document.createElement("mark");
  range.surroundContents(marked);
  return marked;
}

function show() {
  const [first] = marks;
  first.tabIndex = -1;
  first.focus({ preventScroll: true });
  first.scrollIntoView({ block: "center" });
}

function linkOriginal(page) {
  if (!original) return;
  original.href = `${original.dataset.base}#page=${page}`;
  original.textContent = `Open the original at page ${page}`;
}

function tell(message) {
  notice.querySelector("p").textContent = message;
  notice.querySelector("button").hidden = !marks.length;
  notice.hidden = false;
}

function clear() {
  notice.hidden = true;
  for (const marked of marks) {
    const page = marked.parentNode;
    marked.replaceWith(...marked.childNodes);
    page.normalize();
  }
  marks = [];
}

notice.querySelector("button").addEventListener("click", show);
addEventListener("hashchange", open);
open();
