const rates = await Promise.resolve({ eur: 1 });

export async function POST() {
  return Response.json(rates);
}
