import { useEffect, useState } from 'preact/hooks'
import { invitedBy } from '../conversations/invite.ts'
import { heedGuestWish } from '../conversations/own-tab.ts'
import { explain, t } from '../i18n.ts'
import { navigate, place } from '../router.ts'
import { client, endedBecause, enter } from '../state/session.ts'
import { Problem } from '../ui/problem.tsx'
import { ForgotForm } from './forgot.form.tsx'
import { EntryPage } from './page.tsx'
import { SignInForm } from './sign-in.form.tsx'
import { SignUpForm } from './sign-up.form.tsx'
import { continueMark, GuestButton, Providers, useWays } from './ways.tsx'

type Mode = 'in' | 'up' | 'forgot'

/** The first page: to sign in, to begin an account, or to look around. `note` says why one is here. */
export function SignInScreen({ note }: { note?: string }) {
  const [mode, setMode] = useState<Mode>('in')
  const ways = useWays()
  const problem = useReturn()
  useEffect(heedGuestWish, [])
  if (mode === 'forgot')
    return (
      <EntryPage>
        <ForgotForm onBack={() => setMode('in')} />
      </EntryPage>
    )
  return (
    <EntryPage>
      <Reasons note={note} />
      <Problem text={problem} />
      {ways?.guests && (
        <>
          <GuestButton />
          <p class="enter-or">
            <span>{t('signIn:or')}</span>
          </p>
        </>
      )}
      <div class="enter-modes">
        <ModeButton isOn={mode === 'in'} label={t('signIn:signIn')} onPress={() => setMode('in')} />
        <ModeButton isOn={mode === 'up'} label={t('signIn:signUp')} onPress={() => setMode('up')} />
      </div>
      {mode === 'in' ? <SignInForm onForgot={() => setMode('forgot')} /> : <SignUpForm />}
      {ways && <Providers items={ways.items} />}
    </EntryPage>
  )
}

function ModeButton({ isOn, label, onPress }: { isOn: boolean; label: string; onPress(): void }) {
  return (
    <button type="button" class="enter-mode" aria-pressed={isOn} onClick={onPress}>
      {label}
    </button>
  )
}

/** Why one is here: an invitation, the end of a login, or what the caller says. */
function Reasons({ note }: { note: string | undefined }) {
  const host = invitedBy(place.value.path)
  const code = endedBecause.value
  return (
    <>
      {host && (
        <div class="enter-note">
          <strong dir="auto">{t('signIn:invitedBy', { username: host })}</strong>
          <p>{t('signIn:invitedHint')}</p>
        </div>
      )}
      {note && <p class="enter-note">{note}</p>}
      {code && (
        <p class="enter-note" role="status">
          {code === 'banned' ? explain({ code }) : t('common:signedOut')}
        </p>
      )}
    </>
  )
}

/** Takes up the login that another service led back with, and gives what went wrong, if anything. */
function useReturn(): string | undefined {
  const [problem, setProblem] = useState<string>()
  useEffect(() => {
    const { path, query } = place.value
    const code = query.get('error')
    const isBack = query.has(continueMark)
    if (code === null && !isBack) return
    // so that loading the page anew does not do it again
    navigate(path, { replace: true })
    if (code !== null) setProblem(explain({ code }))
    else enter(client.continueLogin()).catch((error) => setProblem(explain(error)))
  }, [])
  return problem
}
