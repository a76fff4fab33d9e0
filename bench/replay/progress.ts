import { setTimeout as delay } from 'node:timers/promises'

const pollMs = 20
const printMs = 5000
/** What has not moved for this long will not. */
const stuckMs = 60_000

export type Phase = { title: string; total: number; count(): number }

/**
 * Waits until the count has risen to the total, and tells how far it is every few seconds. Says false where it does not
 * rise any more.
 * @throws what `work`, which makes the count rise, fails with
 */
export async function untilRisen({ title, total, count }: Phase, work?: Promise<unknown>): Promise<boolean> {
  let failure: { error: unknown } | undefined
  work?.catch((error: unknown) => {
    failure = { error }
  })
  let [best, risenAt, printedAt] = [-1, performance.now(), performance.now()]
  for (;;) {
    if (failure) throw failure.error
    const reached = count()
    const now = performance.now()
    if (reached >= total) return true
    if (reached > best) [best, risenAt] = [reached, now]
    if (now - risenAt > stuckMs) return false
    if (now - printedAt > printMs) {
      printedAt = now
      const megabytes = Math.round(process.memoryUsage.rss() / 2 ** 20)
      console.error(`${title}: ${reached.toLocaleString('en')} of ${total.toLocaleString('en')} (${megabytes} MB)`)
    }
    await delay(pollMs)
  }
}

/** Does the work for each item, `width` at a time, in their order; at the first failure no more are begun. */
export async function inParallel<T>(items: T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  // one iterator that all take from
  const queue = items.values()
  let failed = false
  const takeOn = async () => {
    for (const item of queue) {
      if (failed) return
      await work(item).catch((error) => {
        failed = true
        throw error
      })
    }
  }
  await Promise.all(Array.from({ length: width }, takeOn))
}
