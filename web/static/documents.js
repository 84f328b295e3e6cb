// Narrows the table to the documents whose title or path holds all the words typed.

const form = document.querySelector("#filter");

if (form) {
  const field = form.querySelector("input");
  const count = form.querySelector("#count");
  const rows = [...document.querySelectorAll("tbody tr")].map((row) => ({
    row,
    text: row.cells[0].textContent.toLowerCase(),
  }));

  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${rows.length} documents` : "";
  };

  field.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
}
