// The page to ask on: a thread of questions and answers, kept in the browser's history so that
// going back, also from a document, shows the same answers again without asking anew.

import { ask, Problem } from "./answers.js";
import { hide as hideCard } from "./card.js";
import * as look from "./look.js";
import { Turn } from "./turn.js";

const form = document.querySelector("#composer");
const field = document.querySelector("#question");
const list = document.querySelector("#thread");

let thread = []; // the finished answers, which the next question follows
let working = null; // stops the question being answered
const MOST_EARLIER = 20; // questions that the server takes along with one
const LONGEST_EARLIER = 8000; // characters of these: a request has room for 64 KiB

async function answer(question) {
  working?.abort();
  const control = (working = new AbortController());
  const before = thread;
  const turn = add(question, control);
  turn.search();
  turn.focus();
  try {
    const earlier = lately(before.map((answered) => answered.question));
    const asked = { question, earlier, filters: look.filters() };
    for await (const { name, data } of ask(asked, control.signal)) {
      control.signal.throwIfAborted();
      if (name === "evidence") turn.evidence(data);
      if (name === "waiting") turn.waiting(data);
      if (name === "sentence") turn.sentence(data);
      if (name === "answer") finish(turn, before, data);
    }
  } catch (error) {
    if (control.signal.aborted) turn.stop();
    else turn.fail(error instanceof Problem ? error : new Problem("Something went wrong", ""));
  } finally {
    if (working === control) working = null;
  }
}

function lately(questions) {
  const kept = questions.slice(-MOST_EARLIER);
  while (kept.join("").length > LONGEST_EARLIER) kept.shift();
  return kept;
}

function add(question, control) {
  const turn = new Turn(question, {
    stop: () => {
      control.abort();
      field.focus();
    },
    again: () => {
      turn.element.remove();
      if (new URL(location).searchParams.get("q") !== question) {
        history.pushState({ thread, pending: true }, "", address(question));
      }
      answer(question);
    },
  });
  list.append(turn.element);
  settle(question);
  return turn;
}

function finish(turn, before, data) {
  thread = [...before, data];
  history.replaceState({ thread }, "");
  turn.finish(data);
}

/** Show what an entry of the browser's history holds, and ask what it has no answer to. */
function restore(state, { anew = false } = {}) {
  working?.abort();
  hideCard();
  thread = state?.thread ?? [];
  if (anew && !state?.pending) thread = thread.slice(0, -1);
  list.replaceChildren();
  for (const answered of thread) add(answered.question).finish(answered);
  const query = new URL(location).searchParams;
  look.choose(query);
  const asked = query.get("q")?.trim();
  if (asked && (anew || state?.pending || !thread.length)) answer(asked);
  else settle(thread.at(-1)?.question);
}

function settle(question) {
  document.body.classList.toggle("asked", Boolean(question));
  document.title = question ? `${question} · Footnote` : "Footnote";
  field.placeholder = question ? "Ask another question" : "Ask a question";
  grow();
}

/** The address of a question, and of where it is looked for. */
function address(question) {
  const asked = question ? [["q", question]] : [];
  const query = new URLSearchParams([...asked, ...look.choices()]);
  return `${location.pathname}${query.size ? "?" : ""}${query}`;
}

function grow() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = field.value.trim();
  if (!question) return field.focus();
  history.pushState({ thread, pending: true }, "", address(question));
  field.value = "";
  answer(question);
});

look.onChoice(() => {
  const asked = new URL(location).searchParams.get("q");
  history.replaceState(history.state, "", address(asked));
});

field.addEventListener("input", grow);
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  event.preventDefault();
  field.focus();
});

addEventListener("popstate", (event) => {
  // Following a link within the page has no state, and is no reason to ask again.
  if (event.state || !location.hash) restore(event.state);
});

// Reloading, or going to the same address once more, asks again; coming back does not.
const [visit] = performance.getEntriesByType("navigation");
restore(history.state, { anew: visit?.type !== "back_forward" });
