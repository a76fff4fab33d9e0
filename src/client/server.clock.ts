/** The server's clock, as far as its answers tell; that of this device until then. */
export interface ServerClock {
  /** In milliseconds since 1970. */
  now(): number
  /** Takes a time that the server has just said; what is none is passed over. */
  learn(time: string | null): void
}

export function createServerClock(): ServerClock {
  let aheadMs = 0
  return {
    now: () => Date.now() + aheadMs,
    learn(time) {
      const said = Date.parse(time ?? '')
      if (!Number.isNaN(said)) aheadMs = said - Date.now()
    },
  }
}
