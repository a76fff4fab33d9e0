/** Where the client keeps its login and its outbox: strings by key, sync (such as `localStorage`, wrapped) or async. */
export interface KeyValueStorage {
  get(key: string): string | null | undefined | Promise<string | null | undefined>
  set(key: string, value: string): void | Promise<void>
  remove(key: string): void | Promise<void>
}

/** Forgets everything when the process ends. */
export function memoryStorage(): KeyValueStorage {
  const values = new Map<string, string>()
  return {
    get: (key) => values.get(key),
    set: (key, value) => void values.set(key, value),
    remove: (key) => void values.delete(key),
  }
}

export interface StoredValue<T> {
  read(): Promise<T | undefined>
  /** Writes land in the order in which they were asked for. `undefined` removes. */
  write(value: T | undefined): Promise<void>
}

/**
 * One JSON value in a storage. A storage that is full, forbidden or damaged counts as an empty one: it costs what would
 * have outlived a restart, and must not keep anyone from signing in or sending now.
 */
export function storedValue<T>(storage: KeyValueStorage, key: string): StoredValue<T> {
  let last = Promise.resolve()
  return {
    async read() {
      await last
      try {
        const text = await storage.get(key)
        return text ? (JSON.parse(text) as T) : undefined
      } catch {
        return undefined
      }
    },
    write(value) {
      last = last
        .then(() => (value === undefined ? storage.remove(key) : storage.set(key, JSON.stringify(value))))
        .catch(() => {})
      return last
    },
  }
}
