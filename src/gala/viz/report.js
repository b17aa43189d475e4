// Sort a table by the column whose head is pressed: numbers from the largest at first, words from A; no value comes last.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if (cell.textContent === "–") return null;
    const number = (cell.dataset.value ?? "").replace("inf", "Infinity");
    return number === "" ? cell.textContent : Number(number);
  };
  heads.forEach((head, column) => {
    const isNumber = head.className === "number";
    head.firstChild.addEventListener("click", () => {
      const first = isNumber ? "descending" : "ascending";
      const second = isNumber ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? second : first;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const compared = (a, b) => {
        if (a === null || b === null) return (a === null) - (b === null);
        if (typeof a === "number" && typeof b === "number") return sign * (a > b) - sign * (a < b);
        return sign * String(a).localeCompare(String(b), "en", { numeric: true });
      };
      const rows = [...body.rows];
      rows.sort((a, b) => compared(valueOf(a, column), valueOf(b, column)));
      body.append(...rows);
    });
  });
}
