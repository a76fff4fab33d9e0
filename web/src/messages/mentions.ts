/** Whom a text can name. */
export interface Nameable {
  userId: string
  username: string
  displayName: string
}

/** More than these do not help in choosing. */
const maxCompletions = 8

/** As the server reads names (its `mentionedNames`): an @ within a word, such as of an email address, names nobody. */
const mention = /(?<![\w.-])@([\w.-]{3,})/g
const begunMention = /(?<![\w.-])@([\w.-]{0,32})$/

/** The mention that is being typed at the caret: where its @ stands, and what follows it. */
export function mentionBefore(text: string, caret: number): { start: number; query: string } | undefined {
  const found = begunMention.exec(text.slice(0, caret))
  return found ? { start: found.index, query: found[1] ?? '' } : undefined
}

/** Who may be meant: those whose username begins so before those of whose name a word does. */
export function completionsOf<T extends Nameable>(query: string, people: readonly T[]): T[] {
  const sought = query.toLowerCase()
  const byUsername = people.filter(({ username }) => username.toLowerCase().startsWith(sought))
  const byName = people.filter(
    (one) =>
      !byUsername.includes(one) &&
      one.displayName
        .toLowerCase()
        .split(/\s+/)
        .some((word) => word.startsWith(sought)),
  )
  return [...byUsername, ...byName].slice(0, maxCompletions)
}

/** The text with the mention at `start` completed, and where the caret goes. */
export function complete(
  text: string,
  start: number,
  caret: number,
  username: string,
): { text: string; caret: number } {
  const before = `${text.slice(0, start)}@${username} `
  return { text: before + text.slice(caret).replace(/^ /, ''), caret: before.length }
}

export interface TextPart {
  text: string
  /** Absent: no mention. */
  username?: string
}

/**
 * A text cut into mentions of these usernames (in lower case) and what is between. A name may be followed by a dot or
 * hyphen that is not of it.
 */
export function splitMentions(text: string, usernames: { has(username: string): boolean }): TextPart[] {
  const parts: TextPart[] = []
  let done = 0
  for (const { index, 1: name = '' } of text.matchAll(mention)) {
    const username = nameAtStart(name, usernames)
    if (username === undefined) continue
    if (index > done) parts.push({ text: text.slice(done, index) })
    done = index + 1 + username.length
    parts.push({ text: text.slice(index, done), username })
  }
  if (done < text.length) parts.push({ text: text.slice(done) })
  return parts
}

function nameAtStart(name: string, usernames: { has(username: string): boolean }): string | undefined {
  for (let end = name.length; end >= 3; end--) {
    const candidate = name.slice(0, end).toLowerCase()
    if (usernames.has(candidate)) return candidate
    if (!/[.-]/.test(name.charAt(end - 1))) return undefined
  }
  return undefined
}
