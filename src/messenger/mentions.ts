import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'

/** At most this many people are mentioned by one message; more is noise. */
const maxNames = 50

/**
 * The usernames that a text may mention, in lower case; undefined where there are none. A username may itself end in a
 * dot or hyphen, so `@ann.` may mean `ann.` or `ann`: both are tried, and the participants decide.
 */
export function mentionedNames(text: string): string[] | undefined {
  if (!text.includes('@')) return undefined
  const names = new Set<string>()
  for (const [, name = ''] of text.matchAll(/(?<![\w.-])@([\w.-]{3,})/g)) {
    for (let end = name.length; end >= 3; end--) {
      if (end <= 32) names.add(name.slice(0, end).toLowerCase())
      if (!/[.-]/.test(name.charAt(end - 1)) || names.size >= maxNames) break
    }
    if (names.size >= maxNames) break
  }
  return names.size > 0 ? [...names] : undefined
}

/** Stores whom a message mentions: those of these names who participate. */
export async function mention(em: Connection, conversationId: string, seq: number, names: string[]): Promise<void> {
  await run(
    em,
    sql`
      insert into mentions (conversation_id, seq, user_id)
      select ${conversationId}, ${seq}, u.id
      from users u join participants p on p.user_id = u.id
      where lower(u.username) = any (${names}) and p.conversation_id = ${conversationId} and p.left_at is null`,
  )
}
