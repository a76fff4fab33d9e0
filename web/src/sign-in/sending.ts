import { useEffect, useState } from 'preact/hooks'
import { explain, type TextKey, t } from '../i18n.ts'
import { type AccountField, fieldProblems, type NewAccount } from './problems.ts'

interface Sending {
  isBusy: boolean
  /** Of the whole, in words. */
  problem: string | undefined
  /** Of single fields. */
  problems: Partial<Record<AccountField, string>>
  /** Says whether it succeeded. One at a time: what is pressed meanwhile does nothing. */
  send(work: () => Promise<unknown>, filled?: Partial<NewAccount>): Promise<boolean>
}

/** The sending of a form, and what the server had against it. `own` has words of the form for some codes. */
export function useSending(own: Record<string, TextKey> = {}): Sending {
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()
  const [problems, setProblems] = useState<Sending['problems']>({})

  async function send(work: () => Promise<unknown>, filled: Partial<NewAccount> = {}): Promise<boolean> {
    if (isBusy) return false
    setBusy(true)
    setProblem(undefined)
    setProblems({})
    try {
      await work()
      return true
    } catch (error) {
      const refusal = error as { code?: string; errors?: { path: string }[] }
      const fields = Object.entries(fieldProblems(refusal, filled))
      const key = own[refusal.code ?? '']
      setProblems(Object.fromEntries(fields.map(([field, text]) => [field, t(text)])))
      if (fields.length === 0) setProblem(key ? t(key) : explain(error))
      return false
    } finally {
      setBusy(false)
    }
  }

  // so that it can be corrected at once, and is read out with what is wrong
  useEffect(() => {
    if (Object.keys(problems).length > 0) document.querySelector<HTMLElement>('form [aria-invalid="true"]')?.focus()
  }, [problems])

  return { isBusy, problem, problems, send }
}
