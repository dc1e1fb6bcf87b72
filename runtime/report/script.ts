/** The one script of a report: the headers of sortable tables become buttons. Without it the tables stay in graph order. */
export const SORTING = `for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0]
  const valueOf = (row, i) => {
    const cell = row.cells[i]
    const data = cell.querySelector("data")
    return data ? Number(data.value) : cell.textContent.trim()
  }
  const compare = (a, b) =>
    typeof a === "number" || typeof b === "number" ? (a || 0) - (b || 0) : a < b ? -1 : a > b ? 1 : 0
  const heads = [...table.tHead.rows[0].cells]
  heads.forEach((head, i) => {
    const button = document.createElement("button")
    button.type = "button"
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending"
      for (const other of heads) other.removeAttribute("aria-sort")
      head.setAttribute("aria-sort", down ? "descending" : "ascending")
      const rows = [...body.rows].sort((a, b) => compare(valueOf(a, i), valueOf(b, i)) * (down ? -1 : 1))
      body.append(...rows)
    })
  })
}
`
