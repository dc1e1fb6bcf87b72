import * as tf from "@tensorflow/tfjs"

/** Makes a registered backend the current one, and makes sure that it is: the library may go on with another, silently. */
export const makeCurrent = async (backend: string): Promise<void> => {
  const accepted = await withoutNewProcessListeners(() => tf.setBackend(backend))
  if (!accepted || tf.getBackend() !== backend)
    throw new Error(`the tensor library refused the backend "${backend}" and stands on "${tf.getBackend()}"`)
}

/** The wasm loader adds handlers for uncaught errors to the whole process, which would hide the program's own. */
const withoutNewProcessListeners = async <A>(run: () => Promise<A>): Promise<A> => {
  const events = ["uncaughtException", "unhandledRejection"] as const
  const before = events.map((event) => new Set<unknown>(process.listeners(event as "uncaughtException")))
  const result = await run()
  events.forEach((event, i) => {
    for (const listener of process.listeners(event as "uncaughtException"))
      if (!before[i]!.has(listener)) process.removeListener(event, listener)
  })
  return result
}

/** Live tensors of the process and their bytes. */
export const liveTensors = () => {
  const { numBytes, numTensors } = tf.memory()
  return { count: numTensors, bytes: numBytes }
}
