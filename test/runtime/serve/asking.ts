/** Asks a server as browsers, scripts and attackers do. */
import * as Http from "node:http"

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** The path goes as it is given. */
export const ask = (port: number, path: string, { headers = {}, method = "GET" }: Asked = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = Http.request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text) => (body += text))
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }))
    })
    request.on("error", reject).end()
  })

export interface News {
  readonly id: string
  readonly events: ReadonlyArray<{ readonly _tag: string; readonly node?: string; readonly text: string }>
  readonly points: ReadonlyArray<{ readonly node: string; readonly done: number; readonly metrics: { loss?: number } }>
  readonly status: string
}

/** Takes a run's news until `enough`, or until the server ends them; then goes away. */
export const news = (
  port: number,
  path: string,
  enough: (all: ReadonlyArray<News>) => boolean = () => false,
  headers: Readonly<Record<string, string>> = {}
): Promise<ReadonlyArray<News>> =>
  new Promise((resolve, reject) => {
    const all: Array<News> = []
    let text = ""
    const request = Http.request({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
      const finish = () => {
        resolve(all)
        request.destroy()
      }
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const [id, event, data] = text.slice(0, end).split("\n")
          text = text.slice(end + 2)
          if (event !== "event: news") return reject(new Error(`unknown: ${event}`))
          all.push({ id: id!.slice("id: ".length), ...JSON.parse(data!.slice("data: ".length)) })
          if (enough(all)) return finish()
        }
      })
      response.on("close", finish) // ended, or cut off
    })
    request.on("error", (cause) => (all.length > 0 ? resolve(all) : reject(cause))).end()
  })
