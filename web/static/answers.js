// Asks for an answer over HTTP and yields its events; the rest of the page knows no HTTP.

/** What went wrong, in words for the reader. */
export class Problem extends Error {
  constructor(title, detail) {
    super(detail);
    this.title = title;
  }
}

/**
 * Yields {name, data} for each event; throws a Problem, or an AbortError once aborted.
 * `asked` has the question, and may have those before (`earlier`) and filters.
 */
export async function* ask(asked, signal) {
  const response = await reach(asked, signal);
  if (!response.ok) throw await refusal(response);
  for await (const event of events(response.body, signal)) {
    if (event.name === "problem") throw new Problem(event.data.title, event.data.detail);
    yield event;
    if (event.name === "answer") return;
  }
  throw brokenOff();
}

async function reach(asked, signal) {
  try {
    return await fetch("/v1/answers", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...asked, stream: true }),
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(
      "Footnote cannot be reached",
      "It may have been stopped, or the network is down.",
    );
  }
}

async function refusal(response) {
  try {
    const { title, detail } = await response.json();
    if (title) return new Problem(title, detail);
  } catch {
    // Something between here and Footnote answered, in a format of its own.
  }
  return new Problem("No answer came", `The server replied with status ${response.status}.`);
}

async function* events(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      yield* blocks.map(parse);
    }
  } catch (error) {
    throw signal.aborted ? error : brokenOff();
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(block) {
  const field = (name) =>
    block.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  return { name: field("event"), data: JSON.parse(field("data")) };
}

function brokenOff() {
  return new Problem("The answer broke off", "The connection was lost before it was complete.");
}
