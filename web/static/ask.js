// The page to ask on: a thread of questions and answers, kept in the browser's history so that
// going back, also from a document, shows the same answers again without asking anew.

import { ask, Problem } from "./answers.js";
import { hide as hideCard } from "./card.js";
import { Turn } from "./turn.js";

const form = document.querySelector("#composer");
const field = document.querySelector("#question");
const list = document.querySelector("#thread");

let thread = []; // the finished answers that the next question follows
let working = null; // the AbortController of the question being answered
// Follow-ups lean on the last question asked under this name: true only while `thread` ends
// with the answer to it, so after going back the next question gets a name of its own.
let conversation = { id: crypto.randomUUID?.() ?? String(Math.random()), last: undefined };

async function answer(question) {
  working?.abort();
  const control = (working = new AbortController());
  const before = thread;
  const turn = new Turn(question, {
    stop: () => control.abort(),
    again: () => retry(turn, question),
  });
  turn.search();
  list.append(turn.element);
  settle(question);
  turn.focus();
  try {
    for await (const { name, data } of ask(question, conversationAfter(before), control.signal)) {
      if (control.signal.aborted) break;
      if (name === "evidence") turn.evidence(data);
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

function finish(turn, before, data) {
  thread = [...before, data];
  conversation.last = data.id;
  history.replaceState({ thread, conversation }, "");
  turn.finish(data);
}
