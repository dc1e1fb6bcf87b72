/** What a section of the benches found, for people and for programs. */
export interface Report {
  readonly title: string
  /** The first row is the head. */
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
  readonly notes: ReadonlyArray<string>
  /** Engines that did other work than they should have: an error, whatever their times. */
  readonly failures: ReadonlyArray<string>
  readonly json: unknown
}

/** What every section is run with. */
export interface Settings {
  readonly quick: boolean
  /** The Python interpreter of the bench's environment; absent where there is none. */
  readonly python?: string
  readonly say: (line: string) => void
}
