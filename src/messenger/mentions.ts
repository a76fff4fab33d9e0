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
