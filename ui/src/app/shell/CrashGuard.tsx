import { Component, type ReactNode } from 'react';

import { ProblemState } from '../../components/States';

interface State {
  error: unknown;
}

/** A page that breaks takes nothing else with it. */
export class CrashGuard extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <ProblemState error={error} retry={() => this.setState({ error: null })} />;
  }
}
