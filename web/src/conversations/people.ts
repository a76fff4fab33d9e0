import type { Conversation, Participant } from '../../../src/client/index.ts'

const rank: Record<Participant['role'], number> = { owner: 0, admin: 1, member: 2 }

/** Those in charge first, then by name. */
export function inOrder(people: readonly Participant[], locale: string): Participant[] {
  const { compare } = new Intl.Collator(locale, { sensitivity: 'base', numeric: true })
  return people.toSorted((a, b) => rank[a.role] - rank[b.role] || compare(a.displayName, b.displayName))
}

/** Whether a conversation brings all of its people along, and not the first of many alone. */
export const hasAllPeople = ({ participants, participantCount }: Conversation): boolean =>
  participants.length >= participantCount

/** Asks page after page for the people of a conversation. */
export async function allPeople(
  ask: (cursor: string | undefined) => Promise<{ participants: Participant[]; nextCursor?: string | undefined }>,
): Promise<Participant[]> {
  const all: Participant[] = []
  let cursor: string | undefined
  do {
    const page = await ask(cursor)
    all.push(...page.participants)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return all
}
