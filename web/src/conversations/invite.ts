/** The address that invites to a conversation with somebody. */
export const inviteLink = (origin: string, username: string): string =>
  `${origin}/invite/${encodeURIComponent(username)}`

/** Whom a path invites to; undefined where it is no invitation. */
export function invitedBy(path: string): string | undefined {
  const [, name] = /^\/invite\/([^/]+)\/?$/.exec(path) ?? []
  if (name === undefined) return undefined
  try {
    return decodeURIComponent(name)
  } catch {
    return undefined
  }
}

/** The dark squares of a code as the path of a drawing in which a square is one unit; those of a row in one piece. */
export function codePath(rows: readonly (readonly boolean[])[]): string {
  return rows
    .flatMap((row, y) =>
      [
        ...row
          .map((isDark) => (isDark ? '1' : '0'))
          .join('')
          .matchAll(/1+/g),
      ].map(({ index, 0: run }) => `M${index} ${y}h${run.length}v1h-${run.length}z`),
    )
    .join('')
}

interface Page {
  items: readonly { username: string }[]
  nextCursor?: string | undefined
}

/** Pages that are looked through for a name; names come in their order, and so in the first of them but for crowds. */
const maxPages = 5

/** The one of exactly this name, whatever its letters' case, among people found by the beginning of their names. */
export async function byUsername<P extends Page>(
  username: string,
  search: (query: string, page: { cursor?: string; limit: number }) => Promise<P>,
): Promise<P['items'][number] | undefined> {
  const wanted = username.toLowerCase()
  let cursor: string | undefined
  for (let page = 0; page < maxPages; page++) {
    const { items, nextCursor } = await search(username, { limit: 50, ...(cursor !== undefined && { cursor }) })
    const found = items.find((one) => one.username.toLowerCase() === wanted)
    if (found || nextCursor === undefined) return found
    cursor = nextCursor
  }
  return undefined
}
