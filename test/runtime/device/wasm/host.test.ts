import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import { type Build, builds, compile, fileOf, sections } from "../../../../runtime/device/wasm/build.ts"
import { heapOf, loadKernels } from "../../../../runtime/device/wasm/host.ts"

const names = Object.keys(builds) as ReadonlyArray<Build>

/** As much of a backend as the host needs: a memory and an allocator that counts what it has given out. */
const fakeBackend = (room = 1) => {
  const memory = Reflect.construct(Reflect.get(Reflect.get(globalThis, "WebAssembly"), "Memory"), [{ initial: room }])
  const held = new Map<number, number>()
  const tensors = new Map<object, { memoryOffset: number }>()
  let next = 8
  const malloc = (bytes: number) => {
    if (next + bytes > room * 65536) return 0
    const at = next
    next += Math.ceil(bytes / 8) * 8
    held.set(at, bytes)
    return at
  }
  const first = (bytes: number): number => {
    backend.wasm._malloc = malloc
    return malloc(bytes)
  }
  const backend = {
    // As the published loader makes it: the first call replaces it.
    wasm: { asm: { memory }, _malloc: first, _free: (address: number) => void held.delete(address) },
    dataIdMap: { get: (id: object) => tensors.get(id)! },
    makeOutput: (shape: ReadonlyArray<number>, dtype: string) => {
      const dataId = {}
      tensors.set(dataId, { memoryOffset: backend.wasm._malloc(4 * shape.reduce((a, b) => a * b, 1)) })
      return { dataId, shape, dtype }
    },
    incRef: () => undefined,
    disposeData: (id: object) => {
      const { memoryOffset } = tensors.get(id)!
      held.delete(memoryOffset)
      return tensors.delete(id)
    }
  }
  return { backend, held, tensors }
}

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

describe("the compiled kernels", () => {
  for (const build of names)
    it(`${build}: the committed file is what its sources compile to`, async () => {
      const committed = new Uint8Array(await readFile(fileOf(build)))
      const same = Buffer.compare(await compile(build), committed) === 0
      assert.isTrue(same, "run `npm run build`")
    }, 300_000) // the compiler takes some six seconds of an idle core

  it("bring no data, table or start function into the backend's memory", async () => {
    for (const build of names) {
      const found = sections(await readFile(fileOf(build)))
      assert.includeMembers([...found], [1, 2, 3, 7, 10])
      for (const id of [4, 8, 9, 11, 12]) assert.notInclude(found, id)
    }
  })

  it("sections of a module that has data are seen", () => {
    const header = [0, 97, 115, 109, 1, 0, 0, 0]
    assert.deepStrictEqual(sections(Uint8Array.from([...header, 1, 2, 0, 0, 11, 0x81, 0, 0])), [1, 11])
  })
})

describe("loading", () => {
  it("is told which build to take", async () => {
    vi.stubEnv("PREFLINE_WASM", undefined)
    const here = await loadKernels(fakeBackend().backend)
    for (const build of here.build === "fma" ? names : (["simd"] as const)) {
      vi.stubEnv("PREFLINE_WASM", build)
      const kernels = await loadKernels(fakeBackend().backend)
      assert.strictEqual(kernels.build, build)
      assert.strictEqual(
        kernels.digest,
        createHash("sha256")
          .update(await readFile(fileOf(build)))
          .digest("hex")
      )
      const fused = kernels.exports.maddOnce!(1 + 2 ** -12, 1 + 2 ** -12, -(1 + 2 ** -11))
      if (build === "simd") assert.strictEqual(fused, 0)
    }
  })

  it("refuses a build that does not exist", async () => {
    vi.stubEnv("PREFLINE_WASM", "avx")
    const failure = await loadKernels(fakeBackend().backend).catch((cause: unknown) => cause)
    assert.match(String(failure), /PREFLINE_WASM is "avx"/)
  })

  it("takes the plain build where the engine does not know relaxed SIMD, or does not fuse", async () => {
    vi.stubEnv("PREFLINE_WASM", undefined)
    const { engine } = await import("../../../../runtime/device/wasm/webAssembly.ts")
    const here = await loadKernels(fakeBackend().backend)
    const fused = here.exports.maddOnce!(1 + 2 ** -12, 1 + 2 ** -12, -(1 + 2 ** -11)) !== 0
    assert.strictEqual(here.build, fused ? "fma" : "simd")
    vi.spyOn(engine, "validate").mockReturnValue(false)
    assert.strictEqual((await loadKernels(fakeBackend().backend)).build, "simd")
    vi.stubEnv("PREFLINE_WASM", "fma")
    const failure = await loadKernels(fakeBackend().backend).catch((cause: unknown) => cause)
    assert.match(String(failure), /no fused multiply-add/)
    vi.stubEnv("PREFLINE_WASM", undefined)
    vi.restoreAllMocks()
    const instantiate = engine.instantiate
    vi.spyOn(engine, "instantiate").mockImplementation(async (bytes, imports) => {
      const { instance, module } = await instantiate(bytes, imports)
      return { module, instance: { exports: { ...instance.exports, maddOnce: () => 0 } } }
    })
    assert.strictEqual((await loadKernels(fakeBackend().backend)).build, "simd")
  })

  it("loads once per backend, and only a loaded one has a heap", async () => {
    const { backend } = fakeBackend()
    assert.throws(() => heapOf(backend), /loadKernels/)
    assert.strictEqual(await loadKernels(backend), await loadKernels(backend))
    assert.strictEqual(heapOf(backend), heapOf(backend))
  })
})

describe("the heap", () => {
  const loaded = async (room?: number) => {
    const fake = fakeBackend(room)
    await loadKernels(fake.backend)
    return { ...fake, heap: heapOf(fake.backend) }
  }

  it("gives back its working memory, also when the work fails", async () => {
    const { heap, held } = await loaded()
    heap.withScratch(100, (address) => {
      assert.strictEqual(address % 64, 0)
      assert.strictEqual(held.size, 1)
    })
    heap.withInts([3, -4], () => assert.strictEqual(held.size, 1))
    assert.throws(() => heap.withScratch(100, () => assert.fail("of the work")), "of the work")
    assert.strictEqual(held.size, 0)
  })

  it("says so when there is no room, and leaves nothing behind", async () => {
    const { heap, held, tensors } = await loaded()
    assert.throws(() => heap.withScratch(1e6, () => undefined), /no room for another 1000063 bytes/)
    assert.throws(() => heap.allocate([1000, 1000]), /no room for another 4000000 bytes/)
    assert.strictEqual(held.size + tensors.size, 0)
  })

  it("shows what lies at an address", async () => {
    const { heap } = await loaded()
    const x = heap.allocate([2, 2])
    heap.floats(x).set([1, 2, 3, 4])
    heap.withInts([9, 8], (address) => assert.notStrictEqual(address, heap.address(x)))
    assert.deepStrictEqual([...heap.floats(x)], [1, 2, 3, 4])
  })
})
