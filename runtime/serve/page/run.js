/** Keeps the page of a run up with its news: states of nodes, curves, the log of events. */
const main = document.getElementById("run")
const rows = new Map([...document.querySelectorAll("#nodes tr")].map((row) => [row.dataset.node, row]))
const pictures = new Map(
  [...document.querySelectorAll("#graph a[href]")].map((link) => [link.getAttribute("href"), link.closest("g.node")])
)
const ENDED = new Set(["succeeded", "failed", "interrupted"])
const OVER = new Set(["computed", "cached", "failed", "skipped"])
/** Node states as the picture of several nodes shows them: the first that one of them has. */
const LOUDEST = ["failed", "running", "waiting", "skipped", "computed", "cached"]
const MOST_EVENTS = 200

/** Metric -> node -> points, each a step and a value. */
const curves = new Map()

const duration = (ms) => {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const two = (n) => String(n).padStart(2, "0")
  return whole < 3600
    ? `${Math.floor(whole / 60)} min ${two(whole % 60)} s`
    : `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`
}
const number = (x) =>
  (x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5) ? x.toExponential(2) : x.toPrecision(3)).replaceAll("-", "−")

const statusOf = (row) => row.querySelector(".status").textContent
const setNode = (node, status, took, progress) => {
  const row = rows.get(node)
  if (row === undefined) return
  const shown = row.querySelector(".status")
  shown.textContent = status
  shown.className = `status ${status}`
  if (took !== undefined) row.querySelector(".number").textContent = took
  if (progress !== undefined) row.querySelector(".progress").textContent = progress
  paint(row.dataset.group)
}

const paint = (group) => {
  const picture = pictures.get(group)
  if (picture === undefined) return
  const statuses = [...rows.values()].filter((row) => row.dataset.group === group).map(statusOf)
  const loudest = LOUDEST.find((status) => statuses.includes(status))
  const mixed = loudest === "waiting" && statuses.some((status) => OVER.has(status)) ? "running" : loudest
  picture.classList.remove(...LOUDEST)
  picture.classList.add(mixed)
}

const EVENTS = {
  NodeStarted: ({ node }) => setNode(node, "running", "", ""),
  NodeRetried: ({ error, node }) => setNode(node, "running", "", `failed, trying again: ${error}`),
  NodeFinished: ({ ms, node, status }) => setNode(node, status, duration(ms)),
  NodeFailed: ({ error, ms, node }) => setNode(node, "failed", duration(ms), error.message),
  NodeSkipped: ({ because, node }) => setNode(node, "skipped", "", `for want of ${because.join(", ")}`)
}

const addEvent = (event) => {
  EVENTS[event._tag]?.(event)
  const log = document.getElementById("log")
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40
  const item = document.createElement("li")
  const time = document.createElement("time")
  time.textContent = event.at.slice(11, 19)
  item.append(time, event.text)
  log.append(item)
  while (log.children.length > MOST_EVENTS) log.firstElementChild.remove()
  if (isAtEnd) log.scrollTop = log.scrollHeight
}

const addPoint = ({ done, metrics, node, total, unit }) => {
  const row = rows.get(node)
  const last = Object.entries(metrics).slice(0, 2)
  const told = [
    `${done}${total === undefined ? "" : `/${total}`} ${unit}`,
    ...last.map(([k, x]) => `${k} ${number(x)}`)
  ]
  if (row !== undefined) row.querySelector(".progress").textContent = told.join("  ")
  for (const [name, value] of Object.entries(metrics)) {
    if (!curves.has(name)) curves.set(name, new Map())
    const series = curves.get(name)
    if (!series.has(node)) series.set(node, [])
    const points = series.get(node)
    // An attempt that begins anew goes over what the one before has drawn.
    while (points.length > 0 && points.at(-1)[0] >= done) points.pop()
    points.push([done, value])
  }
}

const SVG = "http://www.w3.org/2000/svg"
const element = (name, attributes, text) => {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (text !== undefined) made.textContent = text
  return made
}
const BOX = { left: 46, right: 6, top: 8, bottom: 20, width: 320, height: 170 }
/** More points than that a chart of this width does not show. */
const SHOWN = 640
const COLOURS = 8

const drawCurve = (name, series) => {
  const all = [...series.values()].flat()
  const [low, high] = [Math.min(...all.map(([, y]) => y)), Math.max(...all.map(([, y]) => y))]
  const [first, last] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))]
  const x = (step) => BOX.left + ((step - first) / (last - first || 1)) * (BOX.width - BOX.left - BOX.right)
  const y = (value) => BOX.top + (1 - (value - low) / (high - low || 1)) * (BOX.height - BOX.top - BOX.bottom)
  const latest = [...series].map(([node, points]) => `${node} ${number(points.at(-1)[1])}`).join(", ")
  const svg = element("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, class: "curve", role: "img" })
  svg.setAttribute("aria-label", `${name} from step ${first} to ${last}; now ${latest}`)
  const bottom = BOX.height - BOX.bottom
  for (const at of new Set([BOX.top, bottom])) {
    svg.append(element("line", { class: "frame", x1: BOX.left, x2: BOX.width - BOX.right, y1: at, y2: at }))
  }
  svg.append(
    element("text", { x: BOX.left - 5, y: BOX.top + 8, "text-anchor": "end" }, number(high)),
    element("text", { x: BOX.left - 5, y: bottom, "text-anchor": "end" }, number(low)),
    element("text", { x: BOX.left, y: BOX.height - 5 }, String(first)),
    element("text", { x: BOX.width - BOX.right, y: BOX.height - 5, "text-anchor": "end" }, String(last))
  )
  for (const [i, points] of [...series.values()].entries()) {
    const stride = Math.ceil(points.length / SHOWN)
    const kept = points.filter((_, p) => p % stride === 0 || p === points.length - 1)
    const line = element("polyline", {
      points: kept.map(([s, v]) => `${x(s).toFixed(1)},${y(v).toFixed(1)}`).join(" ")
    })
    line.style.stroke = `var(--c${i % COLOURS})`
    svg.append(line)
  }
  return svg
}

const legend = (nodes) => {
  const list = document.createElement("ul")
  list.className = "legend"
  for (const [i, node] of nodes.entries()) {
    const item = document.createElement("li")
    item.textContent = node
    item.style.color = `var(--c${i % COLOURS})`
    list.append(item)
  }
  return list
}

/** Redraws all curves, at most once for each picture that the browser shows. */
let waits = false
const drawCurves = () => {
  if (waits || curves.size === 0) return
  waits = true
  requestAnimationFrame(() => {
    waits = false
    const figures = [...curves].map(([name, series]) => {
      const figure = document.createElement("figure")
      figure.className = "chart"
      figure.dataset.metric = name
      const title = document.createElement("p")
      title.textContent = name
      figure.append(title, drawCurve(name, series), legend([...series.keys()]))
      return figure
    })
    document.getElementById("curves").replaceChildren(...figures)
  })
}

const setStatus = (status) => {
  main.dataset.status = status
  const shown = document.getElementById("status")
  if (shown.textContent !== status) shown.textContent = status
  shown.className = `status ${status}`
  if (status === "running") return
  for (const [node, row] of rows) if (statusOf(row) === "running") setNode(node, "waiting")
}

const setDone = () => {
  const done = [...rows.values()].filter((row) => OVER.has(statusOf(row))).length
  document.getElementById("done").textContent = done
  document.getElementById("bar").style.width = `${(100 * done) / Math.max(rows.size, 1)}%`
}

const time = document.getElementById("time")
const tick = () => {
  if (main.dataset.status === "running") time.textContent = duration(Date.now() - Date.parse(time.dataset.at))
}

for (const row of rows.values()) paint(row.dataset.group)
setDone()
tick()
setInterval(tick, 1000)

const source = new EventSource(`/runs/${main.dataset.run}/events?from=${main.dataset.place}`)
source.addEventListener("news", ({ data }) => {
  const { events, points, status } = JSON.parse(data)
  for (const event of events) {
    addEvent(event)
    if (event._tag === "RunFinished") time.textContent = duration(event.ms)
  }
  for (const point of points) addPoint(point)
  if (points.length > 0) drawCurves()
  setStatus(status)
  setDone()
  if (ENDED.has(status)) source.close()
})
// The browser comes back by itself, from the last news that it had.
source.addEventListener("error", () => {
  if (source.readyState !== EventSource.CLOSED) document.getElementById("status").textContent = "connection lost"
})
