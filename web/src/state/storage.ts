import type { KeyValueStorage } from '../../../src/client/index.ts'

/**
 * Whose login this page uses: that of the browser, which all of its tabs share, or one of this tab alone, so that two
 * people can sit side by side in one browser.
 */
export type Scope = 'browser' | 'tab'

const scopeKey = 'kintsugi.scope'

export const scope: Scope = sessionStorage.getItem(scopeKey) === 'tab' ? 'tab' : 'browser'

/** From the next load of the page on. */
export const keepInTab = (): void => sessionStorage.setItem(scopeKey, 'tab')

const kept: Storage = scope === 'tab' ? sessionStorage : localStorage

/** The most outboxes that one browser is thought to have open at once. */
const maxSlots = 32

/**
 * A storage for one client: the login is shared by the tabs of the scope, the outbox is this tab's own, since two
 * clients that write one would drop each other's messages. Of a closed tab's outbox the next tab takes care: outboxes
 * are numbered, and each tab holds the first number that is free, by a lock that ends with it.
 */
export async function openStorage(): Promise<KeyValueStorage> {
  const slot = await takeSlot()
  const isOwn = (key: string) => key.startsWith('kintsugi.outbox.')
  const storeOf = (key: string) => (isOwn(key) && slot === undefined ? sessionStorage : kept)
  const nameOf = (key: string) => (isOwn(key) && slot ? `${key}.${slot}` : key)
  return {
    get: (key) => storeOf(key).getItem(nameOf(key)),
    set: (key, value) => storeOf(key).setItem(nameOf(key), value),
    remove: (key) => storeOf(key).removeItem(nameOf(key)),
  }
}

/** Undefined where the page may not lock (plain http off this machine): its outbox ends with the tab then. */
async function takeSlot(): Promise<number | undefined> {
  if (scope === 'tab' || !navigator.locks) return undefined
  for (let slot = 0; slot < maxSlots; slot++) if (await isTaken(slot)) return slot
  return undefined
}

const isTaken = (slot: number): Promise<boolean> =>
  new Promise((resolve) => {
    void navigator.locks.request(`kintsugi.outbox.${slot}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null)
      // held until the tab ends
      return lock ? new Promise(() => {}) : undefined
    })
  })

/** Calls when another tab of this scope signs in as somebody else, or out. */
export function onOtherLogin(userIdNow: () => string | undefined, handle: () => void): void {
  addEventListener('storage', ({ key, newValue, storageArea }) => {
    if (storageArea !== kept || key !== 'kintsugi.login') return
    const { userId } = JSON.parse(newValue ?? '{}') as { userId?: string }
    if (userId !== userIdNow()) handle()
  })
}
