import { signal } from '@preact/signals'
import { explain } from '../i18n.ts'

interface Toast {
  id: number
  text: string
  isError: boolean
}

const shownMs = 6_000
let lastId = 0
export const toasts = signal<readonly Toast[]>([])

/** Says something for some seconds, aloud too where a screen reader is on. */
export function say(text: string, isError = false): void {
  const id = ++lastId
  toasts.value = [...toasts.value, { id, text, isError }]
  setTimeout(() => dismiss(id), shownMs)
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id)
}

/** Does something and says what went wrong, if anything; gives whether it succeeded. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    say(explain(error), true)
    return false
  }
}
