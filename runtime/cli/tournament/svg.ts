/** Lines with markers in a plane, as SVG: axes, one line a series, the series told apart by colour, dash and marker. */

export interface Marker {
  readonly x: number
  readonly y: number
  /** What a pointer that rests on it is told. */
  readonly title: string
}

export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<Marker>
}

export interface Plot {
  readonly title: string
  readonly description: string
  readonly x: string
  readonly y: string
  readonly series: ReadonlyArray<Series>
  /** Where an upright line stands. */
  readonly at: number | undefined
  /** A curve without markers, drawn below the series. */
  readonly bound: Series | undefined
}

const WIDTH = 860
const HEIGHT = 520
const MARGIN = { left: 64, right: 16, top: 16, bottom: 52 }
const LEGEND_ROW = 20
const LEGEND_COLUMNS = 5

/** Colours that differ for most eyes on both grounds (CSS variables of the page), then dashes, then markers. */
export const COLOURS = 8
const DASHES = ["", "7 4", "2 3", "9 3 2 3"]
const MARKERS = ["circle", "square", "diamond", "triangle", "cross"] as const

/** Class and dashes of the series of this number: no two of the first 40 look the same. */
const look = (i: number) => ({
  colour: `c${i % COLOURS}`,
  dash: DASHES[Math.floor(i / COLOURS) % DASHES.length]!,
  marker: MARKERS[Math.floor(i / COLOURS) % MARKERS.length]!
})

/** Places of ticks between two numbers, at most `count`, at multiples of 1, 2 or 5 times a power of ten. */
export const ticks = (low: number, high: number, count: number): ReadonlyArray<number> => {
  const raw = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10)
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

export const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

/** The plot; its x axis is linear in the square root, so that what is close to the origin is not one blot. */
export const plot = ({ at, bound, description, series, title, x, y }: Plot): string => {
  const all = [...series, ...(bound === undefined ? [] : [bound])].flatMap(({ points }) => points)
  const highestX = Math.max(1e-6, ...series.flatMap(({ points }) => points.map((point) => point.x))) * 1.04
  const shown = all.filter((point) => point.x <= highestX)
  const [lowest, highest] = [Math.min(0, ...shown.map((p) => p.y)), Math.max(1e-6, ...shown.map((p) => p.y))]
  const padding = (highest - lowest) * 0.05
  const [low, high] = [lowest < 0 ? lowest - padding : 0, highest + padding]
  const right = WIDTH - MARGIN.right
  const bottom = HEIGHT - MARGIN.bottom
  const atX = (value: number) => MARGIN.left + Math.sqrt(Math.max(value, 0) / highestX) * (right - MARGIN.left)
  const atY = (value: number) => bottom - ((value - low) / (high - low)) * (bottom - MARGIN.top)
  const rows = Math.ceil((series.length + (bound === undefined ? 0 : 1)) / LEGEND_COLUMNS)
  const height = HEIGHT + rows * LEGEND_ROW + 8
  const path = (points: ReadonlyArray<Marker>) =>
    points.map((point, i) => `${i === 0 ? "M" : "L"}${round(atX(point.x))} ${round(atY(point.y))}`).join("")
  const lines = series.map(({ name, points }, i) => {
    const { colour, dash, marker } = look(i)
    const markers = points.map(
      (point) => `<g><title>${escape(point.title)}</title>${shape(marker, atX(point.x), atY(point.y))}</g>`
    )
    return `<g class="${colour}" data-method="${escape(name)}"><title>${escape(name)}</title><path class="line" d="${path(points)}" ${dashed(dash)}/>${markers.join("")}</g>`
  })
  const curve =
    bound === undefined
      ? ""
      : `<g clip-path="url(#area)"><path class="bound" d="${path(bound.points)}"><title>${escape(bound.name)}</title></path></g>`
  const grid = [
    ...xTicks(highestX).map(
      (value) =>
        `<path class="grid" d="M${round(atX(value))} ${MARGIN.top}V${bottom}"/><text x="${round(atX(value))}" y="${bottom + 18}" text-anchor="middle">${value}</text>`
    ),
    ...ticks(low, high, 7).map(
      (value) =>
        `<path class="grid" d="M${MARGIN.left} ${round(atY(value))}H${right}"/><text x="${MARGIN.left - 8}" y="${round(atY(value) + 4)}" text-anchor="end">${value}</text>`
    )
  ]
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="plot-title plot-description">
<title id="plot-title">${escape(title)}</title><desc id="plot-description">${escape(description)}</desc>
<defs><clipPath id="area"><rect x="${MARGIN.left}" y="${MARGIN.top}" width="${right - MARGIN.left}" height="${bottom - MARGIN.top}"/></clipPath></defs>
${grid.join("\n")}
<path class="axis" d="M${MARGIN.left} ${MARGIN.top}V${bottom}H${right}"/>
<text x="${(MARGIN.left + right) / 2}" y="${bottom + 40}" text-anchor="middle">${escape(x)}</text>
<text transform="translate(16 ${(MARGIN.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(y)}</text>
${at === undefined ? "" : `<path class="at" d="M${round(atX(at))} ${MARGIN.top}V${bottom}"/>`}
${curve}
${lines.join("\n")}
${legend(series, bound)}
</svg>`
}

/** Ticks that are spread evenly where roots are. */
const xTicks = (highest: number): ReadonlyArray<number> => {
  const wanted = Array.from({ length: 7 }, (_, i) => highest * ((i + 1) / 7) ** 2)
  const rounded = wanted.map((value) => {
    const power = 10 ** Math.floor(Math.log10(value))
    const digit = [5, 2, 1].find((digit) => digit * power <= value * 1.0001) ?? 1
    return Number((digit * power).toPrecision(6))
  })
  const large = Number(highest.toPrecision(2))
  return [...new Set([0, ...rounded, ...(large <= highest && large > rounded.at(-1)! * 1.5 ? [large] : [])])]
}

const legend = (series: ReadonlyArray<Series>, bound: Series | undefined): string => {
  const width = (WIDTH - MARGIN.left - MARGIN.right) / LEGEND_COLUMNS
  const place = (i: number) => ({
    x: MARGIN.left + (i % LEGEND_COLUMNS) * width,
    y: HEIGHT + 8 + Math.floor(i / LEGEND_COLUMNS) * LEGEND_ROW
  })
  const entry = (i: number, name: string, drawn: (x: number, y: number) => string) => {
    const { x, y } = place(i)
    return `${drawn(x, y)}<text x="${round(x + 38)}" y="${y + 4}">${escape(name)}</text>`
  }
  const entries = series.map(({ name }, i) => {
    const { colour, dash, marker } = look(i)
    return entry(
      i,
      name,
      (x, y) =>
        `<g class="${colour}"><path class="line" d="M${round(x)} ${y}h30" ${dashed(dash)}/>${shape(marker, x + 15, y)}</g>`
    )
  })
  const last =
    bound === undefined
      ? ""
      : entry(series.length, bound.name, (x, y) => `<path class="bound" d="M${round(x)} ${y}h30"/>`)
  return `<g aria-hidden="true">${entries.join("")}${last}</g>`
}

const dashed = (dash: string) => (dash === "" ? "" : `stroke-dasharray="${dash}"`)

const shape = (marker: (typeof MARKERS)[number], x: number, y: number): string => {
  const [cx, cy] = [round(x), round(y)]
  switch (marker) {
    case "circle":
      return `<circle class="mark" cx="${cx}" cy="${cy}" r="4"/>`
    case "square":
      return `<path class="mark" d="M${cx - 3.5} ${cy - 3.5}h7v7h-7z"/>`
    case "diamond":
      return `<path class="mark" d="M${cx} ${cy - 5}l5 5l-5 5l-5 -5z"/>`
    case "triangle":
      return `<path class="mark" d="M${cx} ${cy - 5}l4.5 8h-9z"/>`
    case "cross":
      return `<path class="line" d="M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8"/>`
  }
}

const round = (value: number) => Math.round(value * 10) / 10
