// Runs a sketch for some blocks of 16 frames: `run BLOCKS ANALOG_CHANNELS`.
//
// Analog input c reads 0.5 + c / 100 in the frames 320 to 2879, and 0.001 c in all others; digital
// inputs read what the outputs were told. A buffer of floats gets the numbers n and n / 100 before
// block 10 n, for n = 1 to 5.

#include <Bela.h>
#include <Watcher.h>
#include <cstdlib>

static int gDigital[16];

void pinMode(BelaContext*, int, int, int) {}
int digitalRead(BelaContext*, int, int channel) { return gDigital[channel]; }
void digitalWrite(BelaContext*, int, int channel, int value) { gDigital[channel] = value; }
void digitalWriteOnce(BelaContext*, int, int channel, int value) { gDigital[channel] = value; }

void audioWrite(BelaContext*, int, int, float) {}

float analogRead(BelaContext* context, int frame, int channel)
{
	const uint64_t now = context->audioFramesElapsed + frame * context->audioFrames / context->analogFrames;
	return now >= 320 && now < 2880 ? 0.5f + channel / 100.f : 0.001f * channel;
}

int main(int, char** arguments)
{
	const unsigned int analogChannels = std::atoi(arguments[2]);
	BelaContext context = {};
	context.audioFrames = context.digitalFrames = 16;
	context.audioSampleRate = context.digitalSampleRate = 44100;
	context.analogInChannels = analogChannels;
	context.analogFrames = analogChannels ? 16 * 4 / analogChannels : 0;
	context.digitalChannels = 16;
	context.projectName[0] = 's';
	if(!setup(&context, nullptr))
		return 1;
	for(int block = 0; block < std::atoi(arguments[1]); ++block)
	{
		for(DataBuffer& buffer : Bela_getDefaultWatcherManager()->getGui().buffers)
			if(block && block % 10 == 0 && block <= 50 && buffer.values.size() > 1)
				buffer.values = {block / 10.f, block / 1000.f};
		render(&context, nullptr);
		context.audioFramesElapsed += context.audioFrames;
	}
	cleanup(&context, nullptr);
	return 0;
}
