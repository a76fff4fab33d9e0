import { createHash, createHmac } from 'node:crypto'

/**
 * Signs as Telegram does, by the documents: https://core.telegram.org/widgets/login and
 * https://core.telegram.org/bots/webapps. Written apart from the code that checks it.
 */
function signed(key: Buffer, fields: Record<string, string>): string {
  let text = ''
  for (const name of Object.keys(fields).sort()) text += `${text === '' ? '' : '\n'}${name}=${fields[name]}`
  return createHmac('sha256', key).update(text).digest('hex')
}

/** The data of the Login Widget. */
export const widget = (token: string, fields: Record<string, string>): Record<string, string> => ({
  ...fields,
  hash: signed(createHash('sha256').update(token).digest(), fields),
})

/** The `initData` of a Mini App. */
export function initData(token: string, fields: Record<string, string>): string {
  const hash = signed(createHmac('sha256', 'WebAppData').update(token).digest(), fields)
  return new URLSearchParams({ ...fields, hash }).toString()
}
