/** How many bytes of freed buffers are kept for reuse at least, however little is in use. */
const KEPT = 256 * 1024 * 1024

/**
 * Hands out GPU buffers and reuses freed ones of the same size and usage.
 * **Details** Freed buffers are kept up to the larger of 256 MiB and half of the bytes in use; beyond that the ones that lay
 * idle longest are destroyed, so that batches of ever new shapes cannot fill the GPU. Has the members that the tensor
 * library expects of its own buffer manager, which keeps every buffer for ever.
 */
export class BufferPool {
  numBytesUsed = 0
  numBytesAllocated = 0
  readonly #create: (descriptor: GPUBufferDescriptor) => GPUBuffer
  /** Free buffers by size and usage; the keys stay in the order of their last release. */
  readonly #free = new Map<string, Array<GPUBuffer>>()
  readonly #used = new Set<GPUBuffer>()

  /** `create` makes a buffer or throws. */
  constructor(create: (descriptor: GPUBufferDescriptor) => GPUBuffer) {
    this.#create = create
  }

  acquireBuffer(size: number, usage: number, mappedAtCreation = false, reuse = true): GPUBuffer {
    const known = reuse ? this.#take(keyOf(size, usage)) : undefined
    const buffer = known ?? this.#create({ size, usage, mappedAtCreation })
    if (!known) this.numBytesAllocated += size
    this.#used.add(buffer)
    this.numBytesUsed += size
    return buffer
  }

  releaseBuffer(buffer: GPUBuffer, reuse = true): void {
    if (!this.#used.delete(buffer)) return
    this.numBytesUsed -= buffer.size
    if (!reuse) {
      this.#destroy(buffer)
      return
    }
    const key = keyOf(buffer.size, buffer.usage)
    const free = this.#free.get(key) ?? []
    free.push(buffer)
    this.#free.delete(key)
    this.#free.set(key, free)
    this.trim(Math.max(KEPT, this.numBytesUsed / 2))
  }

  /** Destroys free buffers, longest idle first, until the free ones hold at most `bytes`. */
  trim(bytes: number): void {
    for (const [key, free] of this.#free) {
      while (free.length > 0 && this.numBytesAllocated - this.numBytesUsed > bytes) this.#destroy(free.shift()!)
      if (free.length > 0) return
      this.#free.delete(key)
    }
  }

  getNumUsedBuffers(): number {
    return this.#used.size
  }

  getNumFreeBuffers(): number {
    return [...this.#free.values()].reduce((count, free) => count + free.length, 0)
  }

  dispose(): void {
    this.trim(0)
    for (const buffer of this.#used) this.#destroy(buffer)
    this.#used.clear()
    this.numBytesUsed = 0
  }

  #take(key: string): GPUBuffer | undefined {
    const free = this.#free.get(key)
    const buffer = free?.pop()
    if (free?.length === 0) this.#free.delete(key)
    return buffer
  }

  #destroy(buffer: GPUBuffer): void {
    this.numBytesAllocated -= buffer.size
    buffer.destroy()
  }
}

const keyOf = (size: number, usage: number) => `${size}:${usage}`
