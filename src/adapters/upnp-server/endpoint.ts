export interface Endpoint {
  readonly address: string;
  readonly port: number;
}
