// One question and its answer on the page. What comes from documents or the model is only ever
// put in as text, never as markup.

import { attach } from "./card.js";
import { asText, place, sentence, showQuote, showWarning } from "./words.js";

const LABELS = {
  answered: "Answered from the documents",
  quoted: "Quoted word for word",
  not_found: "Not in the documents",
};

const GLANCE = 240; // characters of the best quote that are shown while the model writes

let turns = 0;

export class Turn {
  #root;
  #number = ++turns;
  #shown = 0;
  #answer = null;
  #position = null; // in the queue for the model
  #sources = new Map(); // by number: the citation, and the element with its quote

  constructor(question, { stop, again }) {
    const template = document.querySelector("#turn").content;
    this.#root = template.cloneNode(true).querySelector(".turn");
    this.#find(".question").textContent = question;
    this.#find(".stop").addEventListener("click", stop);
    this.#find(".again").addEventListener("click", again);
    this.#find(".copy").addEventListener("click", () => this.#copy());
  }

  get element() {
    return this.#root;
  }

  /** Bring the question to the top and put the focus on it, so that Tab reaches its answer. */
  focus() {
    this.#find(".question").focus({ preventScroll: true });
    this.#root.scrollIntoView();
  }

  search() {
    this.#state("working", "Searching the documents…");
  }

  evidence({ citations }) {
    const passages = citations.length === 1 ? "1 passage" : `${citations.length} passages`;
    const [best] = citations; // there to be read while the model is still writing
    const quote = best && `${best.title}: “${clipped(best.quote)}”`;
    this.#state("working", `Reading ${passages}…`, quote);
  }

  waiting({ position, wait_s }) {
    if (position === this.#position) return; // it is read aloud
    this.#position = position;
    const others = position === 1 ? "next" : `number ${position}`;
    const seconds = Math.max(1, Math.round(wait_s));
    const label = `Waiting for the model: ${others}, about ${seconds} s…`;
    this.#state("working", label, this.#find(".why").textContent);
  }

  sentence({ sentence, citations }) {
    this.#state("working", "Writing…");
    this.#cite("Sources", citations);
    this.#say(sentence);
  }

  finish(answer) {
    this.#answer = answer;
    this.#state(answer.status, LABELS[answer.status], why(answer));
    this.#root.toggleAttribute("data-nearest", answer.nearest.length > 0);
    const known = this.#find(".sources ol").children.length;
    this.#cite("Sources", answer.citations.slice(known));
    this.#cite("Closest passages, not an answer", answer.nearest);
    answer.sentences.slice(this.#shown).forEach((one) => this.#say(one));
    this.#tell(".searched", answer.searched_for && `Searched for “${answer.searched_for}”`);
    const missing = answer.unanswered.map((question) => `“${question}”`).join(" ");
    this.#tell(".unanswered", missing && `The documents do not answer ${missing}`);
    this.#withhold(answer.withheld);
    this.#find(".smallprint").textContent = smallPrint(answer);
    const receipt = this.#find(".receipt"); // there is none where none are kept
    if (receipt) receipt.href = `/v1/answers/${answer.id}`;
    this.#find("footer").hidden = false;
  }

  stop() {
    const why = this.#shown ? "What is shown was checked; more may have followed." : "";
    this.#state("stopped", "Stopped", why);
  }

  fail(problem) {
    this.#state("failed", problem.title, sentence(problem.message || "Nothing more is known"));
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }

  #state(state, label, why = "") {
    this.#root.dataset.state = state;
    this.#find(".label").textContent = label;
    this.#find(".why").textContent = why;
  }

  #say({ text, citations }) {
    const words = document.createElement("span");
    words.className = "sentence";
    words.textContent = text;
    const notes = document.createElement("sup");
    notes.append(...citations.map((number) => this.#note(number)));
    words.append(notes);
    this.#find(".answer").append(words, " ");
    this.#shown += 1;
  }

  #tell(selector, text) {
    this.#find(selector).textContent = text || "";
    this.#find(selector).hidden = !text;
  }

  #note(number) {
    const link = document.createElement("a");
    const { citation, quote } = this.#sources.get(number);
    link.className = "note";
    link.href = citation.url;
    link.textContent = number;
    link.setAttribute("aria-label", `Footnote ${number}`);
    link.setAttribute("aria-describedby", quote.id);
    attach(link, citation);
    return link;
  }

  #cite(heading, citations) {
    if (!citations.length) return;
    this.#find(".sources").hidden = false;
    this.#find(".sources h3").textContent = heading;
    this.#find(".sources ol").append(...citations.map((citation) => this.#source(citation)));
  }

  #source(citation) {
    const item = document.querySelector("#source").content.cloneNode(true).firstElementChild;
    const quote = item.querySelector("blockquote");
    quote.id = `quote-${this.#number}-${citation.number}`;
    showQuote(quote, citation);
    showWarning(item.querySelector(".warning"), citation);
    item.querySelector(".place").textContent = place(citation);
    item.querySelector("a").href = citation.url;
    item.querySelector("a span").textContent = `, ${place(citation)}`;
    this.#sources.set(citation.number, { citation, quote });
    return item;
  }

  #withhold(withheld) {
    if (!withheld.length) return;
    const count = withheld.length;
    const summary = count === 1 ? "1 sentence was withheld" : `${count} sentences were withheld`;
    this.#find(".withheld summary").textContent = summary;
    this.#find(".withheld ul").append(...withheld.map(refused));
    this.#find(".withheld").hidden = false;
  }

  async #copy() {
    const text = asText(this.#answer, LABELS[this.#answer.status]);
    const button = this.#find(".copy");
    const label = button.textContent;
    button.textContent = (await copied(text)) ? "Copied" : "Copying is not allowed here";
    button.disabled = true;
    setTimeout(() => Object.assign(button, { textContent: label, disabled: false }), 2000);
  }
}

function refused({ text, reason }) {
  const item = document.createElement("li");
  const words = document.createElement("s");
  const why = document.createElement("span");
  words.textContent = text;
  why.textContent = sentence(reason);
  item.append(words, " ", why);
  return item;
}

function why({ status, reason, hint }) {
  const checked = "AI wording, each sentence checked against the words it cites.";
  if (status === "answered") return reason ? `${sentence(reason)} ${checked}` : checked;
  if (status === "quoted") return sentence(`no AI wording: ${reason}`);
  return hint ? `${sentence(reason)} ${hint}` : sentence(reason);
}

function smallPrint({ status, model, timings_ms, generation }) {
  const author = {
    answered: `Written by ${model?.name}, an AI model, and checked against the sources`,
    quoted: "Quoted, no AI wording",
    not_found: "No AI wording",
  }[status];
  const parts = [author];
  if (status === "quoted" && model) parts.push(`model ${model.name}`);
  const seconds = (timings_ms.total / 1000).toFixed(1);
  return [...parts, `${seconds} seconds`, `library generation ${generation}`].join(" · ");
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedTheOldWay(text);
  }
}

// On a plain-HTTP address other than localhost, browsers offer no navigator.clipboard.
function copiedTheOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

function clipped(quote) {
  const text = quote.replace(/\s+/g, " ");
  return text.length > GLANCE ? `${text.slice(0, GLANCE).replace(/\s\S*$/, "")} …` : text;
}
