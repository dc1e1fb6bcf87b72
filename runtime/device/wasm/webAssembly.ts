/** The engine's WebAssembly, whose types otherwise come only with a browser's. */

export interface Memory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
}

export interface Module {
  readonly exports: Readonly<Record<string, (...numbers: ReadonlyArray<number>) => number>>
}

interface Described {
  readonly module: string
  readonly name: string
  readonly kind: string
}

interface Engine {
  readonly validate: (bytes: Uint8Array) => boolean
  readonly instantiate: (
    bytes: Uint8Array,
    imports: object
  ) => Promise<{ readonly instance: Module; readonly module: object }>
  readonly Instance: new (module: object, imports: object) => Module
  readonly Module: {
    new (bytes: Uint8Array): object
    readonly imports: (module: object) => ReadonlyArray<Described>
    readonly exports: (module: object) => ReadonlyArray<Described>
  }
}

export const engine: Engine = Reflect.get(globalThis, "WebAssembly")
