import { useState } from 'preact/hooks'
import type { ErrorCode } from '../../../src/client/index.ts'
import { explain } from '../i18n.ts'

/** What went wrong, where it did. Always there, so that screen readers hear it come. */
export function Problem({ text }: { text: string | undefined }) {
  return (
    <p class="field-problem" role="alert">
      {text}
    </p>
  )
}

/** What codes mean in one place, where that is more than what they mean everywhere. */
export type Meanings = Partial<Record<ErrorCode, string>>

/** Something that is sent to the server: whether it is under way, and what is wrong with it. */
export function useSending(meanings: Meanings = {}) {
  const [problem, setProblem] = useState<string>()
  const [isBusy, setBusy] = useState(false)

  /** Gives whether it succeeded; one thing at a time. */
  async function send(work: () => Promise<unknown>): Promise<boolean> {
    if (isBusy) return false
    setBusy(true)
    setProblem(undefined)
    try {
      await work()
      return true
    } catch (error) {
      const { code } = error as { code?: ErrorCode }
      setProblem((code && meanings[code]) ?? explain(error))
      return false
    } finally {
      setBusy(false)
    }
  }

  return { problem, isBusy, send }
}
