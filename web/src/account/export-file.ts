import { client } from '../state/session.ts'

/** Has the browser keep a file of the server that only its owner may have. */
export async function saveFile(path: string, name: string): Promise<void> {
  const url = URL.createObjectURL(await client.rest.download(path))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // after the browser has begun to read it
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
