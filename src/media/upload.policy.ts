import { AppError } from '../kernel/errors.ts'
import type { MediaKind } from '../kernel/ports.ts'

/** What browsers show of what is kept as it came, by its content. */
const shown: ReadonlyMap<string, 'video' | 'audio'> = new Map([
  ...['video/mp4', 'video/webm', 'video/quicktime'].map((mime) => [mime, 'video'] as const),
  ...[
    ...['audio/mpeg', 'audio/ogg', 'audio/opus', 'audio/wav', 'audio/flac', 'audio/mp4', 'audio/x-m4a', 'audio/aac'],
    'audio/webm',
  ].map((mime) => [mime, 'audio'] as const),
])

/** A recording of a sound in what usually has pictures: some call it a video all the same. */
const bothContainers: ReadonlySet<string> = new Set(['audio/mp4', 'audio/webm', 'audio/ogg', 'audio/3gpp'])

/** Never shown by this server, whatever it says it is. */
const svg = 'image/svg+xml'
export const unknownMime = 'application/octet-stream'

/** Of a file name in most file systems. */
const maxNameBytes = 255

/**
 * A name is kept to be shown; nothing is derived from it.
 * @throws AppError invalid_request
 */
export function checkName(name: string): void {
  const refuse = (message: string) =>
    new AppError('invalid_request', `file: ${message}`, { errors: [{ path: 'file', message }] })
  // what clients call a file stands in other people's messages: nothing that moves text about, either
  if (/[/\\]|\p{Cc}|[\u2028-\u202e\u2066-\u2069]/u.test(name) || /^\.{0,2}$/.test(name) || !name.isWellFormed())
    throw refuse('the name must be that of a file, without a path or control characters')
  if (Buffer.byteLength(name) > maxNameBytes) throw refuse(`the name must be at most ${maxNameBytes} bytes`)
}

/**
 * What becomes of a file by its content; what it was said to be must not contradict that.
 * @param found the type by its content; undefined: text, or nothing known
 * @param declared the type that the caller gave
 * @param images types that can be made anew
 * @throws AppError unsupported_media
 */
export function kindOf(
  found: string | undefined,
  declared: string,
  images: ReadonlySet<string>,
): { kind: MediaKind; mime: string } {
  const said = familyOf(declared)
  const isSoundAlone = said === 'video' && bothContainers.has(found ?? '')
  if (said !== undefined && said !== familyOf(found ?? '') && !isSoundAlone)
    throw new AppError('unsupported_media', `What is in the file is no ${said}.`)
  if (found && images.has(found)) return { kind: 'image', mime: found }
  if (said === 'image' && found !== svg) {
    const names = [...images].map((mime) => mime.replace('image/', '')).join(', ')
    throw new AppError('unsupported_media', `Images of this type are not taken. Send one of: ${names}.`)
  }
  return { kind: shown.get(found ?? '') ?? 'file', mime: found ?? textType(declared) ?? unknownMime }
}

/** How a file is delivered: shown in place, or as a download that no browser takes for anything. */
export const isShown = (kind: MediaKind): boolean => kind !== 'file'

const familyOf = (mime: string): string | undefined => /^(image|video|audio)\//.exec(mime.trim().toLowerCase())?.[1]

/** Content does not tell one kind of text from another; the word of the caller does no harm, since it is never served. */
const textType = (declared: string): string | undefined =>
  /^text\/[a-z0-9.+-]{1,60}(?=$|\s*;)/.exec(declared.trim().toLowerCase())?.[0]
