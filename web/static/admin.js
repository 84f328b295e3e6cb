// What changes the documents: uploads, labels, withdrawing and restoring, reading the folders again. The
// page is fetched anew when something has changed; a run that goes on is followed until it ends.

const KEY = "footnote-token";
const LARGEST_BATCH = 900 * 2 ** 20; // bytes: a request may have 1 GiB
const MOST_FILES = 100;
const POLL_MS = 2000;

const admin = document.querySelector("#admin");
const controls = admin.querySelector("#controls");
const drop = admin.querySelector("#drop");
const field = admin.querySelector("#files");
const tokenForm = admin.querySelector("#token");
const run = admin.querySelector("#run");
const status = run.querySelector("[role=status]");
const bar = run.querySelector("progress");
const cancel = run.querySelector("#cancel");
const labels = document.querySelector("#labels");
const confirmation = document.querySelector("#confirm");

let following = null;

class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `The server replied with status ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

/** Send a request that changes something; resolves to the reply, or throws a Refusal. */
function send(method, url, { body = null, type = null, progress = null } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
    request.open(method, url);
    request.responseType = "json";
    const token = sessionStorage.getItem(KEY);
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    if (type) request.setRequestHeader("Content-Type", type);
    if (progress) request.upload.addEventListener("progress", progress);
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Refusal(request.status, request.response));
    });
    request.addEventListener("error", () => reject(new Error("Footnote cannot be reached.")));
    request.send(body);
  });
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error.status === 401 || (error.status === 413 && tokenForm)) askForToken();
    else if (error.problem?.ingestion) follow(error.problem.ingestion);
    tell(error.message);
  }
}

function tell(message, { done = null, cancels = null } = {}) {
  run.hidden = false;
  status.textContent = message;
  bar.hidden = done === null;
  if (done === null || done < 0) bar.removeAttribute("value");
  else bar.value = done;
  cancel.hidden = !cancels;
}

// Uploads

async function upload(files) {
  let last = null;
  for (const some of batches(files)) {
    const form = new FormData();
    for (const file of some) form.append("file", file, file.name);
    for (const tag of listed(valueOf("#with-tags"))) form.append("tag", tag);
    if (valueOf("#with-group")) form.append("group", valueOf("#with-group"));
    const names = some.length === 1 ? some[0].name : `${some.length} files`;
    tell(`Sending ${names}…`, { done: 0 });
    const progress = ({ loaded, total }) => tell(`Sending ${names}…`, { done: loaded / total });
    last = await send("POST", "/v1/documents", { body: form, progress });
  }
  if (last) follow(last.ingestion.id);
}

function* batches(files) {
  let batch = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length && (batch.length === MOST_FILES || bytes + file.size > LARGEST_BATCH)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.size;
  }
  if (batch.length) yield batch;
}

// Runs

function follow(id) {
  if (following === id) return;
  following = id;
  tell("Waiting to be read…", { done: -1, cancels: id });
  const source = new EventSource(`/v1/ingestions/${id}?stream=true`);
  source.addEventListener("progress", ({ data }) => {
    if (following === id) show(JSON.parse(data));
    else source.close();
  });
  source.addEventListener("ended", ({ data }) => {
    source.close();
    if (following === id) end(JSON.parse(data));
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED && following === id) poll(id);
  });
}

/** Ask now and then where events cannot be had: too many are following. */
async function poll(id) {
  const found = await fetch(`/v1/ingestions/${id}`).then((reply) => reply.json(), () => null);
  if (following !== id) return;
  if (found && !["waiting", "running"].includes(found.state)) return end(found);
  if (found) show(found);
  setTimeout(() => poll(id), POLL_MS);
}

function show({ id, state, progress }) {
  if (state === "waiting") return tell("Waiting to be read…", { done: -1, cancels: id });
  const { stage, files, files_done, bytes, bytes_done, seconds_left, passages } = progress;
  if (stage === "publishing") return tell("Putting it into the answers…", { done: -1 });
  if (!files) return tell("Looking for files…", { done: -1, cancels: id });
  if (files_done === files) {
    const made = passages ? `: ${count(passages, "passage")} so far` : "";
    return tell(`Preparing what was read for search${made}…`, { done: -1, cancels: id });
  }
  const left = seconds_left > 5 ? `, about ${duration(seconds_left)} left` : "";
  const done = bytes ? bytes_done / bytes : files_done / files;
  tell(`Reading: ${files_done} of ${count(files, "file")}${left}`, { done, cancels: id });
}

function end({ state, files, problem }) {
  following = null;
  if (state === "cancelled") return refresh("Cancelled. What was not read waits for the next time.");
  if (state === "failed") return refresh(`It failed: ${problem ?? "nothing more is known."}`);
  const failed = files.filter((file) => file.state === "failed").length;
  const partly = files.length - failed;
  const notes = [
    failed && `${count(failed, "file")} could not be read`,
    partly && `${count(partly, "file")} only in part`,
  ].filter(Boolean);
  return refresh(notes.length ? `Read; but ${notes.join(", and ")}: see below.` : "Read.");
}

function count(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function duration(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} seconds` : `${Math.round(seconds / 60)} minutes`;
}

/** Show the lists as they are now, without losing what is said or typed. */
async function refresh(message) {
  const reply = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (!reply.ok) return tell(message);
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const selector of [".intro", "#documents", "#others", "#groups"]) {
    const [old, now] = [document, fresh].map((page) => page.querySelector(selector));
    if (old && now) old.replaceWith(now);
    else if (old) old.remove();
    else if (now) (document.querySelector("#others") ?? labels).before(now);
  }
  unlock();
  document.dispatchEvent(new Event("listed"));
  tell(message);
}

// Withdrawing and restoring

document.addEventListener("click", ({ target }) => {
  const { label, withdraw, restore, path, ...now } = target.closest("button")?.dataset ?? {};
  if (label) relabel(label, path, now);
  if (withdraw) {
    opened(confirmation, path, () => attempt(() => change("DELETE", withdraw, "", `Withdrew ${path}.`)));
  }
  if (restore) attempt(() => change("POST", restore, "/restore", "Restored."));
});

async function change(method, id, what, message) {
  await send(method, `/v1/documents/${id}${what}`);
  await refresh(message);
  admin.querySelector("#files").focus();
}

function opened(dialog, path, then) {
  dialog.querySelector(".file").textContent = path;
  dialog.returnValue = "";
  dialog.addEventListener("close", () => dialog.returnValue && then(), { once: true });
  dialog.showModal();
}

// Labelling

function relabel(id, path, { group, tags }) {
  labels.querySelector("#group").value = group;
  labels.querySelector("#tags").value = tags;
  opened(labels, path, () =>
    attempt(async () => {
      const asked = { group: valueOf("#group") || null, tags: listed(valueOf("#tags")) };
      const body = JSON.stringify(asked);
      await send("PATCH", `/v1/documents/${id}`, { body, type: "application/json" });
      await refresh(`Labelled ${path}.`);
      document.querySelector(`[data-label="${id}"]`)?.focus();
    }),
  );
}

function valueOf(selector) {
  return document.querySelector(selector).value.trim();
}

function listed(text) {
  return text.split(",").map((tag) => tag.trim()).filter(Boolean);
}

labels.querySelector("button[type=button]").addEventListener("click", () => labels.close());

// The token, and what is shown with and without it

function askForToken() {
  sessionStorage.removeItem(KEY);
  unlock();
  tokenForm?.querySelector("input").focus();
}

function unlock() {
  const locked = Boolean(tokenForm) && !sessionStorage.getItem(KEY);
  if (tokenForm) tokenForm.hidden = !locked;
  controls.hidden = locked;
  for (const element of document.querySelectorAll(".act")) element.hidden = locked;
}

tokenForm?.addEventListener("submit", (event) => {
  event.preventDefault();
  const secret = tokenForm.querySelector("input");
  sessionStorage.setItem(KEY, secret.value.trim());
  secret.value = "";
  run.hidden = true;
  unlock();
  field.focus();
});

field.addEventListener("change", () => {
  const files = [...field.files];
  field.value = "";
  attempt(() => upload(files));
});

for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") attempt(() => upload([...event.dataTransfer.files]));
  });
}

admin.querySelector("#folders")?.addEventListener("click", () =>
  attempt(async () => follow((await send("POST", "/v1/ingestions")).id)),
);

cancel.addEventListener("click", () => attempt(() => send("DELETE", `/v1/ingestions/${following}`)));

admin.hidden = false;
unlock();
if (admin.dataset.running) follow(admin.dataset.running);
