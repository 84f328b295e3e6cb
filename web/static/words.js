// How citations and reasons are put in words.

/** Text on one line: what was set in lines in the document reads as running text. */
export function squeeze(text) {
  return text.replace(/\s+/g, " ").trim();
}

/** Shows a quote, and marks the words in it that answer, if the citation says which. */
export function showQuote(element, { quote, start, answer }) {
  const letters = [...quote]; // characters as Python counts them
  const from = answer ? answer.start - start : 0;
  const to = answer ? answer.stop - start : 0;
  const part = (a, b) => letters.slice(a, b).join("").replace(/\s+/g, " ");
  if (to <= from) return element.replaceChildren(squeeze(quote));
  const mark = document.createElement("mark");
  mark.textContent = part(from, to);
  element.replaceChildren(part(0, from).trimStart(), mark, part(to).trimEnd());
}

/** Shows what a reader must know of a quote, if there is anything. */
export function showWarning(element, { warning }) {
  element.textContent = warning || "";
  element.hidden = !warning;
}

/** Where a quote stands: title, page and heading. */
export function place({ title, page, heading }) {
  const parts = [title];
  if (page) parts.push(`page ${page}`);
  if (heading && heading !== title) parts.push(squeeze(heading));
  return parts.join(" · ");
}

/** A reason as a sentence. */
export function sentence(reason) {
  const text = reason.charAt(0).toUpperCase() + reason.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** A whole answer as plain text that keeps its footnotes. */
export function asText(answer, label) {
  const body = answer.sentences.map((s) => s.text + s.citations.map((n) => `[${n}]`).join(""));
  const cited = answer.citations.length ? answer.citations : answer.nearest;
  const sources = cited.map(
    (c) =>
      `[${c.number}] “${squeeze(c.quote)}”\n    ${place(c)} (${c.path})\n` +
      (c.warning ? `    ${c.warning}\n` : "") +
      `    ${new URL(c.url, location.href)}`,
  );
  const heading = answer.nearest.length ? ["Closest passages, not an answer:"] : [];
  const said = body.length ? body.join(" ") : sentence(answer.reason);
  const reason = answer.status === "answered" && answer.reason ? [sentence(answer.reason)] : [];
  const missing = answer.unanswered.map((question) => `Not in the documents: “${question}”`);
  return [answer.question, `${label}:\n${said}`, ...reason, ...missing, ...heading, ...sources].join("\n\n");
}
