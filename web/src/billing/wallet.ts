import { effect, signal } from '@preact/signals'
import type { Wallet } from '../../../src/client/index.ts'
import { client, stage } from '../state/session.ts'
import { type TokenWindow, windowAt } from './window.ts'

/** One's plan, credits and token window; undefined until they are known. */
export const wallet = signal<Wallet | undefined>(undefined)
/** What figures are to be reckoned by; moves on when the window ends. */
const now = signal(new Date())

/** As long as a timer of a browser can be, in milliseconds. */
const maxTimerMs = 2 ** 31 - 1

const read = (): void => {
  // what cannot be read now is read with the next connection
  client.rest.request<Wallet>('GET', '/v1/me/wallet').then(take, () => {})
}

function take(heard: Wallet): void {
  now.value = new Date()
  wallet.value = heard
}

effect(() => {
  if (stage.value === 'ready') read()
  else wallet.value = undefined
})
client.on('connected', () => {
  if (stage.peek() === 'ready') read()
})
client.on('wallet:changed', take)
effect(() => {
  const resetAt = wallet.value?.tokens.resetAt
  if (resetAt === undefined) return
  const ms = new Date(resetAt).getTime() - Date.now()
  const timer = setTimeout(
    () => {
      now.value = new Date()
    },
    Math.min(maxTimerMs, Math.max(0, ms) + 500),
  )
  return () => clearTimeout(timer)
})

/** The token window now. */
export const tokenWindow = (): TokenWindow | undefined => wallet.value && windowAt(wallet.value.tokens, now.value)

/** Says whether runs beyond the quota are paid with credits. Throws ApiError. */
export async function setOverage(overageEnabled: boolean): Promise<void> {
  take(await client.rest.request<Wallet>('PATCH', '/v1/me/wallet', { overageEnabled }))
}
