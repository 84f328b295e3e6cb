// The card with the quoted words, shown while a footnote number is hovered, focused or tapped.
// For assistive technology the number is described by the quote in the list of sources.

import { place, showQuote, showWarning } from "./words.js";

const card = document.querySelector("#card");
const LINGER = 250; // so that the pointer can travel from the number to the card

let owner = null;
let leaving = 0;

/** Has a footnote number show its citation. */
export function attach(link, citation) {
  let tap = null;
  link.addEventListener("pointerdown", (event) => {
    tap = { finger: event.pointerType !== "mouse", again: owner === link };
  });
  link.addEventListener("click", (event) => {
    // A finger cannot hover: the first tap shows the card, the second follows the link.
    if (tap?.finger && !tap.again) {
      event.preventDefault();
      show(link, citation);
    }
    tap = null;
  });
  link.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse") show(link, citation);
  });
  link.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") hideSoon();
  });
  link.addEventListener("focus", () => {
    if (!tap) show(link, citation);
  });
  link.addEventListener("blur", hideSoon);
}

export function hide() {
  clearTimeout(leaving);
  owner = null;
  card.hidden = true;
}

function show(link, citation) {
  clearTimeout(leaving);
  owner = link;
  showQuote(card.querySelector("blockquote"), citation);
  showWarning(card.querySelector(".warning"), citation);
  card.querySelector(".place").textContent = place(citation);
  card.querySelector("a").href = citation.url;
  card.hidden = false;
  putBy(link.getBoundingClientRect());
}

function hideSoon() {
  clearTimeout(leaving);
  leaving = setTimeout(hide, LINGER);
}

function putBy(spot) {
  const gap = 8;
  const { width, height } = card.getBoundingClientRect();
  const room = document.documentElement.clientWidth - width - gap;
  const left = Math.max(gap, Math.min(spot.left - 2 * gap, room));
  const below = spot.bottom + gap;
  const fits = below + height < document.documentElement.clientHeight;
  const top = fits || spot.top < height + gap ? below : spot.top - height - gap;
  card.style.left = `${left + scrollX}px`;
  card.style.top = `${top + scrollY}px`;
}

card.addEventListener("pointerenter", () => clearTimeout(leaving));
card.addEventListener("pointerleave", (event) => {
  if (event.pointerType === "mouse") hideSoon();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
});
document.addEventListener("pointerdown", (event) => {
  if (!card.contains(event.target) && !owner?.contains(event.target)) hide();
});
