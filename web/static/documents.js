// Narrows the table to the documents whose title or path holds all the words typed.

const form = document.querySelector("#filter");

if (form) {
  const field = form.querySelector("input");
  const count = form.querySelector("#count");

  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...document.querySelectorAll("#documents tbody tr")];
    let shown = 0;
    for (const row of rows) {
      const text = row.cells[0].textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${rows.length} documents` : "";
  };

  field.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("listed", filter); // the table is another after a change
  form.hidden = false;
  filter();
}
