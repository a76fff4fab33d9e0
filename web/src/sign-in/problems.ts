import type { TextKey } from '../i18n.ts'

/** What is filled in to begin an account. */
export interface NewAccount {
  email: string
  username: string
  password: string
  displayName: string
}

export type AccountField = keyof NewAccount

/** As the server has it, in characters. */
const minPasswordLength = 8

interface Refusal {
  code?: string
  errors?: readonly { path: string }[] | undefined
}

/** What to say beside each field that the server refused; nothing where the refusal is of the whole. */
export function fieldProblems(
  { code, errors = [] }: Refusal,
  filled: Partial<NewAccount>,
): Partial<Record<AccountField, TextKey>> {
  const isTaken = code === 'conflict'
  const texts: Record<AccountField, TextKey> = {
    email: isTaken ? 'signIn:emailTaken' : 'signIn:emailBad',
    username: isTaken ? 'signIn:usernameTaken' : 'signIn:usernameBad',
    password: passwordProblem(filled),
    displayName: 'signIn:displayNameBad',
  }
  const named = errors.map(({ path }) => path).filter((path): path is AccountField => path in texts)
  return Object.fromEntries(named.map((path) => [path, texts[path]]))
}

function passwordProblem({ password = '', username, email }: Partial<NewAccount>): TextKey {
  if ([...password].length < minPasswordLength) return 'signIn:passwordShort'
  const isOwnName = [username, email].some((name) => name?.toLowerCase() === password.toLowerCase())
  return isOwnName ? 'signIn:passwordOwn' : 'signIn:passwordCommon'
}
