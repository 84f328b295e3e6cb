// Where answers are looked for: a menu, and a chip for each choice, which takes it back. The
// choices are named in the address as the interface names them, so that they can be shared.

const LISTS = ["document_ids", "groups", "tags", "media_types"];
const SINGLE = ["folder", "date_from", "date_to"];
const SAID = { date_from: "From", date_to: "Up to" };

const look = document.querySelector("#look"); // none where there are no documents
const form = document.querySelector("#composer");
const chips = look?.querySelector("#chips");

/** What is chosen, as pairs of a name and a value. */
export function choices() {
  if (!look) return [];
  return [...new FormData(form)].filter(([name, value]) => value && name !== "q");
}

/** What is chosen, as the interface takes it; undefined if nothing is. */
export function filters() {
  const chosen = {};
  for (const [name, value] of choices()) {
    if (LISTS.includes(name)) (chosen[name] ??= []).push(value);
    else chosen[name] = value;
  }
  return Object.keys(chosen).length ? chosen : undefined;
}

/** Choose what an address says; what is not on the menu, any more, is put there. */
export function choose(query) {
  if (!look) return;
  for (const name of LISTS) {
    const values = new Set(query.getAll(name));
    for (const box of look.querySelectorAll(`[name=${name}]`)) {
      box.checked = values.delete(box.value);
    }
    for (const value of values) add(name, value);
  }
  for (const name of SINGLE) {
    const control = look.querySelector(`[name=${name}]`);
    const value = query.get(name) ?? "";
    control.value = value;
    if (control.matches("select") && control.value !== value) {
      control.append(new Option(value, value, false, true));
    }
  }
  show();
}

/** Have something done whenever the reader chooses. */
export function onChoice(act) {
  look?.addEventListener("change", () => {
    show();
    act();
  });
}

function add(name, value) {
  const list = look.querySelector(`[data-list=${name}]`);
  const label = list.querySelector("template").content.cloneNode(true).firstElementChild;
  const box = label.querySelector("input");
  box.value = value;
  box.checked = true;
  label.querySelector("span").textContent = value;
  list.append(label);
  list.hidden = false;
}

function show() {
  const chosen = [...look.querySelectorAll("input, select")].filter(
    (control) => control.value && (control.type !== "checkbox" || control.checked),
  );
  chips.replaceChildren(...chosen.map(chip));
  chips.hidden = !chosen.length;
}

function chip(control) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const name = control.closest("label").querySelector("span")?.textContent ?? control.value;
  const words = [SAID[control.name], name].filter(Boolean).join(" ");
  button.type = "button";
  button.textContent = `${words} ×`;
  button.setAttribute("aria-label", `Do not look only in: ${words}`);
  button.addEventListener("click", () => {
    if (control.type === "checkbox") control.checked = false;
    else control.value = "";
    control.dispatchEvent(new Event("change", { bubbles: true }));
    (chips.querySelector("button") ?? look.querySelector("summary")).focus();
  });
  item.append(button);
  return item;
}
