// Convolutions of images [batch, height, width, channels], as products of patches with the filter, and depthwise ones.
//
// `window` addresses the description that the host writes, int32 each, in the order of the constants below.

import { madd, madd1 } from "./lanes"

const BATCH: usize = 0
const HEIGHT: usize = 4
const WIDTH: usize = 8
const CHANNELS: usize = 12
const OUT_HEIGHT: usize = 16
const OUT_WIDTH: usize = 20
const FILTER_HEIGHT: usize = 24
const FILTER_WIDTH: usize = 28
const STRIDE_HEIGHT: usize = 32
const STRIDE_WIDTH: usize = 36
const DILATION_HEIGHT: usize = 40
const DILATION_WIDTH: usize = 44
const TOP: usize = 48
const LEFT: usize = 52
/** Outputs per channel of a depthwise filter. */
const MULTIPLIER: usize = 56

/**
 * For the output positions `first` to `first + count - 1`, counted over batch, row and column: the elements of the image under
 * the filter, [count, filter height, filter width, channels]; zero outside of the image.
 */
export function patches(x: usize, out: usize, window: usize, first: i32, count: i32): void {
  walk(true, x, out, window, first, count)
}

/** The transpose of `patches`: adds each element to where it came from. */
export function addPatches(x: usize, patches: usize, window: usize, first: i32, count: i32): void {
  walk(false, x, patches, window, first, count)
}

@inline
function walk(gather: bool, x: usize, packed: usize, window: usize, first: i32, count: i32): void {
  const height = load<i32>(window, HEIGHT), width = load<i32>(window, WIDTH)
  const outHeight = load<i32>(window, OUT_HEIGHT), outWidth = load<i32>(window, OUT_WIDTH)
  const filterHeight = load<i32>(window, FILTER_HEIGHT), filterWidth = load<i32>(window, FILTER_WIDTH)
  const strideHeight = load<i32>(window, STRIDE_HEIGHT), strideWidth = load<i32>(window, STRIDE_WIDTH)
  const dilationHeight = load<i32>(window, DILATION_HEIGHT), dilationWidth = load<i32>(window, DILATION_WIDTH)
  const pixel = <usize>load<i32>(window, CHANNELS) << 2
  for (let position = first; position < first + count; position++) {
    const column = position % outWidth
    const line = position / outWidth
    const image = x + <usize>(line / outHeight) * height * width * pixel
    const top = (line % outHeight) * strideHeight - load<i32>(window, TOP)
    const left = column * strideWidth - load<i32>(window, LEFT)
    for (let i = 0; i < filterHeight; i++) {
      const row = top + i * dilationHeight
      const inside = <u32>row < <u32>height
      const source = image + <usize>row * width * pixel
      if (inside && dilationWidth == 1 && left >= 0 && left + filterWidth <= width) {
        const bytes = <usize>filterWidth * pixel
        if (gather) copy(packed, source + <usize>left * pixel, bytes)
        else add(source + <usize>left * pixel, packed, bytes)
        packed += bytes
      } else {
        for (let j = 0; j < filterWidth; j++) {
          const at = left + j * dilationWidth
          if (inside && <u32>at < <u32>width) {
            if (gather) copy(packed, source + <usize>at * pixel, pixel)
            else add(source + <usize>at * pixel, packed, pixel)
          } else if (gather) clear(packed, pixel)
          packed += pixel
        }
      }
    }
  }
}

@inline
function copy(to: usize, from: usize, bytes: usize): void {
  let at: usize = 0
  for (; at + 16 <= bytes; at += 16) v128.store(to + at, v128.load(from + at))
  for (; at < bytes; at += 4) store<i32>(to + at, load<i32>(from + at))
}

@inline
function add(to: usize, from: usize, bytes: usize): void {
  let at: usize = 0
  for (; at + 16 <= bytes; at += 16) v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)))
  for (; at < bytes; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at))
}

@inline
function clear(to: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 4) store<i32>(to + at, 0)
}

/** `y = x * filter`, one filter [filter height, filter width, channels, multiplier] per channel. `y` starts as zeros. */
export function depthwise(x: usize, filter: usize, y: usize, window: usize): void {
  slide(0, x, filter, y, window)
}

/** Adds the filter's gradient to `filter`, given `y` as the gradient of the output. */
export function depthwiseFilter(x: usize, filter: usize, y: usize, window: usize): void {
  slide(1, x, filter, y, window)
}

/** Adds the input's gradient to `x`, given `y` as the gradient of the output. */
export function depthwiseInput(x: usize, filter: usize, y: usize, window: usize): void {
  slide(2, x, filter, y, window)
}

/** All three read two of the operands and add their product to the third one: `target` says which. */
@inline
function slide(target: i32, x: usize, filter: usize, y: usize, window: usize): void {
  const batch = load<i32>(window, BATCH), channels = load<i32>(window, CHANNELS)
  const height = load<i32>(window, HEIGHT), width = load<i32>(window, WIDTH)
  const outHeight = load<i32>(window, OUT_HEIGHT), outWidth = load<i32>(window, OUT_WIDTH)
  const filterHeight = load<i32>(window, FILTER_HEIGHT), filterWidth = load<i32>(window, FILTER_WIDTH)
  const strideHeight = load<i32>(window, STRIDE_HEIGHT), strideWidth = load<i32>(window, STRIDE_WIDTH)
  const dilationHeight = load<i32>(window, DILATION_HEIGHT), dilationWidth = load<i32>(window, DILATION_WIDTH)
  const multiplier = load<i32>(window, MULTIPLIER)
  const pixel = <usize>channels << 2
  const wide = pixel * multiplier
  for (let b = 0; b < batch; b++) {
    for (let line = 0; line < outHeight; line++) {
      const top = line * strideHeight - load<i32>(window, TOP)
      for (let column = 0; column < outWidth; column++) {
        const left = column * strideWidth - load<i32>(window, LEFT)
        for (let i = 0; i < filterHeight; i++) {
          const row = top + i * dilationHeight
          if (<u32>row >= <u32>height) continue
          for (let j = 0; j < filterWidth; j++) {
            const at = left + j * dilationWidth
            if (<u32>at >= <u32>width) continue
            const under = x + <usize>(row * width + at) * pixel
            const tap = filter + <usize>(i * filterWidth + j) * wide
            if (multiplier == 1) {
              if (target == 0) addProducts(y, under, tap, pixel)
              else if (target == 1) addProducts(tap, under, y, pixel)
              else addProducts(under, tap, y, pixel)
            } else {
              addSpread(target, under, tap, y, channels, multiplier)
            }
          }
        }
        y += wide
      }
    }
    x += <usize>height * width * pixel
  }
}

@inline
function addProducts(to: usize, a: usize, b: usize, bytes: usize): void {
  let at: usize = 0
  for (; at + 16 <= bytes; at += 16) v128.store(to + at, madd(v128.load(a + at), v128.load(b + at), v128.load(to + at)))
  for (; at < bytes; at += 4) store<f32>(to + at, madd1(load<f32>(a + at), load<f32>(b + at), load<f32>(to + at)))
}

@inline
function addSpread(target: i32, x: usize, filter: usize, y: usize, channels: i32, multiplier: i32): void {
  let out: usize = 0
  for (let channel = 0; channel < channels; channel++) {
    for (let m = 0; m < multiplier; m++) {
      if (target == 0) store<f32>(y + out, madd1(load<f32>(x), load<f32>(filter + out), load<f32>(y + out)))
      else if (target == 1) store<f32>(filter + out, madd1(load<f32>(x), load<f32>(y + out), load<f32>(filter + out)))
      else store<f32>(x, madd1(load<f32>(filter + out), load<f32>(y + out), load<f32>(x)))
      out += 4
    }
    x += 4
  }
}

/** Adds each element of `dy` to `dx` at the first greatest element of its window in `x`. */
export function maxPoolGradient(x: usize, dy: usize, dx: usize, window: usize): void {
  pool(true, x, dy, dx, window)
}

/** Adds each element of `dy` to `dx` in equal shares over the part of its window that lies in the image. */
export function averagePoolGradient(dy: usize, dx: usize, window: usize): void {
  pool(false, 0, dy, dx, window)
}

@inline
function pool(greatest: bool, x: usize, dy: usize, dx: usize, window: usize): void {
  const batch = load<i32>(window, BATCH), channels = load<i32>(window, CHANNELS)
  const height = load<i32>(window, HEIGHT), width = load<i32>(window, WIDTH)
  const outHeight = load<i32>(window, OUT_HEIGHT), outWidth = load<i32>(window, OUT_WIDTH)
  const filterHeight = load<i32>(window, FILTER_HEIGHT), filterWidth = load<i32>(window, FILTER_WIDTH)
  const strideHeight = load<i32>(window, STRIDE_HEIGHT), strideWidth = load<i32>(window, STRIDE_WIDTH)
  const dilationHeight = load<i32>(window, DILATION_HEIGHT), dilationWidth = load<i32>(window, DILATION_WIDTH)
  const pixel = <usize>channels << 2
  for (let b = 0; b < batch; b++) {
    for (let line = 0; line < outHeight; line++) {
      const top = line * strideHeight - load<i32>(window, TOP)
      for (let column = 0; column < outWidth; column++) {
        const left = column * strideWidth - load<i32>(window, LEFT)
        for (let channel: usize = 0; channel < pixel; channel += 4) {
          const slope = load<f32>(dy + channel)
          let best: usize = -1
          let greatestValue: f32 = -Infinity
          let count = 0
          for (let i = 0; i < filterHeight; i++) {
            const row = top + i * dilationHeight
            if (<u32>row >= <u32>height) continue
            for (let j = 0; j < filterWidth; j++) {
              const at = left + j * dilationWidth
              if (<u32>at >= <u32>width) continue
              const place = <usize>(row * width + at) * pixel + channel
              count++
              if (greatest) {
                const value = load<f32>(x + place)
                if (value > greatestValue) {
                  greatestValue = value
                  best = place
                }
              }
            }
          }
          if (greatest) {
            if (best != <usize>-1) store<f32>(dx + best, load<f32>(dx + best) + slope)
          } else {
            const share = slope / <f32>count
            for (let i = 0; i < filterHeight; i++) {
              const row = top + i * dilationHeight
              if (<u32>row >= <u32>height) continue
              for (let j = 0; j < filterWidth; j++) {
                const at = left + j * dilationWidth
                if (<u32>at >= <u32>width) continue
                const place = <usize>(row * width + at) * pixel + channel
                store<f32>(dx + place, load<f32>(dx + place) + share)
              }
            }
          }
        }
        dy += pixel
      }
    }
    x += <usize>height * width * pixel
    dx += <usize>height * width * pixel
  }
}
