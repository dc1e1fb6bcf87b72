/** Keeps the list of runs up: rows that changed are replaced, new ones put in, marks stay. */
const EVERY = 3000

const update = async () => {
  const response = await fetch("/", { headers: { accept: "text/html" } })
  if (!response.ok) return
  const page = new DOMParser().parseFromString(await response.text(), "text/html")
  const runs = document.getElementById("runs")
  const rows = [...page.querySelectorAll("#runs tr")]
  const shown = new Map([...runs.children].map((row) => [row.id, row]))
  const next = rows.map((row) => {
    const before = shown.get(row.id)
    if (before?.dataset.state === row.dataset.state) return before
    const box = before?.querySelector("input")
    if (box !== undefined && box !== null) row.querySelector("input").checked = box.checked
    return document.adoptNode(row)
  })
  if (next.length !== runs.children.length || next.some((row, i) => row !== runs.children[i])) {
    runs.replaceChildren(...next)
    document.getElementById("none").textContent = ""
  }
}

const again = async () => {
  if (!document.hidden) await update().catch(() => undefined) // the server is away: the next time may find it
  setTimeout(again, EVERY)
}
setTimeout(again, EVERY)
