import { AppError } from '../kernel/errors.ts'

/** What NIST SP 800-63B asks for at the least; counted in characters as people see them, near enough. */
const leastLength = 8

/** Whose password it is to be. */
interface Owner {
  username?: string | null | undefined
  email?: string | null | undefined
}

/**
 * Refuses a password that is guessed before all others: a short one, one of the 18,000 common ones of that length or more,
 * whatever the letter case, and the owner's own name or address. What it is made of is not asked for: such rules only
 * make people write `Password1!`.
 * @param path the field of the request that the password came in
 * @throws AppError invalid_request
 */
export async function assertGoodPassword(password: string, owner: Owner, path = 'password'): Promise<void> {
  const folded = password.toLowerCase()
  if ([...password].length < leastLength) throw refused(path, `must be at least ${leastLength} characters`)
  if (folded === owner.username?.toLowerCase() || folded === owner.email?.toLowerCase())
    throw refused(path, 'must not be the username or the email')
  if ((await commonPasswords()).has(folded)) throw refused(path, 'is too common: many would guess it')
}

const refused = (path: string, message: string) =>
  new AppError('invalid_request', `${path}: ${message}`, { errors: [{ path, message }] })

let loaded: Promise<ReadonlySet<string>> | undefined

/**
 * The list of zxcvbn, from passwords that became public; all of it is in lower case. Unpacking it takes 70 ms and 4 MB, so
 * it is done at the first password that is chosen, once a process.
 */
function commonPasswords(): Promise<ReadonlySet<string>> {
  loaded ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set(dictionary['passwords-common'].filter((common) => common.length >= leastLength)),
  )
  return loaded
}
