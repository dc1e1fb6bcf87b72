/** What a request has to be before anything is done about it. */
import * as Net from "node:net"
import { Schema } from "effect"

/** A request that is refused, with the status to answer. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  status: Schema.Int,
  problem: Schema.String,
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
}) {
  override get message() {
    return this.problem
  }
}

/** A request as it is routed: path segments and query, decoded once. */
export interface Asked {
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
}

const LONGEST = 2048

/**
 * Whether a `Host` header names this server: an address, which no name of somebody else's can turn into, `localhost`, or a
 * name that was allowed. So a page elsewhere cannot reach it by a name of its own that it lets point here.
 */
export const isOurs = (host: string | undefined, allowed: ReadonlySet<string>): boolean => {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(host ?? "") ?? []
  if (bracketed !== undefined) return Net.isIPv6(bracketed)
  if (plain === undefined) return false
  const name = plain.toLowerCase().replace(/\.$/, "")
  return Net.isIPv4(name) || name === "localhost" || allowed.has(name)
}

/** Reads the target of a request; refuses whatever cannot be one of ours. */
export const read = (
  request: { readonly method: string; readonly url: string; readonly host: string | undefined },
  allowed: ReadonlySet<string>
): Asked | Refused => {
  const { host, method, url } = request
  if (!isOurs(host, allowed)) {
    return new Refused({
      status: 421,
      problem:
        "The Host of this request is not a name of this server. To reach it by a name, start it with --host <name>."
    })
  }
  if (method !== "GET" && method !== "HEAD") {
    return new Refused({
      status: 405,
      problem: "Only GET and HEAD: nothing is written here.",
      headers: { allow: "GET, HEAD" }
    })
  }
  if (url.length > LONGEST)
    return new Refused({ status: 414, problem: `The address is longer than ${LONGEST} characters.` })
  const [target = "", query = ""] = url.split(/\?(.*)/s)
  const path = target.startsWith("/") ? segmentsOf(target) : undefined
  return path === undefined
    ? new Refused({ status: 400, problem: "The address cannot be read." })
    : { path, query: new URLSearchParams(query) }
}

/** `undefined` where a segment is none that any page of this server has. */
const segmentsOf = (target: string): ReadonlyArray<string> | undefined => {
  try {
    const segments = target.split("/").slice(1).map(decodeURIComponent)
    const isOdd = (segment: string) => segment === "." || segment === ".." || /[\p{Cc}/\\]/u.test(segment)
    return segments.some(isOdd) ? undefined : segments.filter((segment, i) => segment !== "" || i < segments.length - 1)
  } catch {
    return undefined // not the UTF-8 that it has to be
  }
}
