export interface Emitter<Events> {
  /** Calls `handler` at each `name`, until the returned function is called. */
  on<K extends keyof Events>(name: K, handler: (payload: Events[K]) => void): () => void
  emit<K extends keyof Events>(name: K, payload: Events[K]): void
}

/** Typed events inside the package. A handler that throws does not keep the news from the others. */
export function createEmitter<Events>(): Emitter<Events> {
  const handlers = new Map<keyof Events, Set<(payload: never) => void>>()
  return {
    on(name, handler) {
      const own = handlers.get(name) ?? new Set()
      handlers.set(name, own.add(handler))
      return () => own.delete(handler)
    },
    emit(name, payload) {
      for (const handler of [...(handlers.get(name) ?? [])] as ((payload: unknown) => void)[]) {
        try {
          handler(payload)
        } catch (error) {
          // It is the caller's mistake, and must not stop the client's own work: it surfaces as an uncaught error.
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
  }
}
