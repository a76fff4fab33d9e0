import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { AppError } from '../kernel/errors.ts'
import type { Role } from '../kernel/roles.ts'
import { type Accounts, refusingTaken } from './accounts.service.ts'
import { identityContract } from './identity.contract.ts'
import type { Hashing } from './password.ts'
import { assertGoodPassword } from './password-policy.ts'

interface Appointee {
  username: string
  /** Needed for a new account; of an existing one it has to be the address. */
  email?: string | undefined
  /** Asked for a new account alone. */
  choosePassword(): Promise<string>
}

interface AppointmentDependencies {
  database: Database
  accounts: Accounts
  hashing: Hashing
}

/** What a new account takes: the same as at registration. */
const {
  username: usernameField,
  email: emailField,
  password: passwordField,
} = identityContract['auth:register'].input.shape

/**
 * Makes someone super_admin by the hand of an operator: who can run commands beside the server needs no one's leave. An
 * account that is there keeps its password; a new one counts as verified.
 * @throws AppError, whose message is for the operator
 */
export function createAppointment({ database, accounts, hashing }: AppointmentDependencies) {
  async function appoint({
    username,
    email,
    choosePassword,
  }: Appointee): Promise<'created' | 'promoted' | 'unchanged'> {
    const [found] = await database.query(sql<{ id: string; email: string | null; role: Role }>`
      select id, email, role from users where lower(username) = lower(${username}) and deleted_at is null`)
    if (!found) {
      await create(username, email, await choosePassword())
      return 'created'
    }
    if (email !== undefined && email.toLowerCase() !== found.email?.toLowerCase())
      throw new AppError('conflict', `${username} is there already, with another address.`)
    if (found.role === 'super_admin') return 'unchanged'
    const [promoted] = await database.query(sql<{ id: string }>`
      update users set role = 'super_admin'
      where id = ${found.id} and kind = 'human' and banned_at is null and deleted_at is null returning id`)
    if (!promoted) throw new AppError('unprocessable', `${username} is banned, or is not a person.`)
    return 'promoted'
  }

  async function create(givenName: string, givenEmail: string | undefined, givenPassword: string): Promise<void> {
    const username = checked('username', usernameField.safeParse(givenName))
    const email = checked('email', emailField.safeParse(givenEmail))
    const password = checked('password', passwordField.safeParse(givenPassword))
    await assertGoodPassword(password, { username, email })
    const passwordHash = await hashing.hash(password)
    const make = async (em: Connection) => {
      const fields = { username, email, passwordHash, displayName: username, emailVerified: true }
      const { user, afterCommit } = await accounts.create(em, fields)
      await run(em, sql`update users set role = 'super_admin' where id = ${user.id}`)
      return afterCommit
    }
    const afterCommit = await refusingTaken(() => database.transact(make))
    await afterCommit()
  }

  return appoint
}

function checked(
  path: string,
  result: { success: true; data: string } | { success: false; error: { issues: { message: string }[] } },
): string {
  if (result.success) return result.data
  throw new AppError('invalid_request', `${path}: ${result.error.issues[0]?.message}`)
}
