// What the sketches of bela-code/ use of Bela's header, for tests on a computer without it.
#pragma once

#include <cstdint>

struct BelaContext
{
	unsigned int audioFrames;
	unsigned int audioInChannels;
	unsigned int audioOutChannels;
	float audioSampleRate;
	unsigned int analogFrames;
	unsigned int analogInChannels;
	unsigned int analogOutChannels;
	float analogSampleRate;
	unsigned int digitalFrames;
	unsigned int digitalChannels;
	float digitalSampleRate;
	uint64_t audioFramesElapsed;
	char projectName[256];
};

enum { INPUT = 0, OUTPUT = 1 };

void pinMode(BelaContext* context, int frame, int channel, int mode);
int digitalRead(BelaContext* context, int frame, int channel);
void digitalWrite(BelaContext* context, int frame, int channel, int value);
void digitalWriteOnce(BelaContext* context, int frame, int channel, int value);
float analogRead(BelaContext* context, int frame, int channel);
void analogWrite(BelaContext* context, int frame, int channel, float value);
float audioRead(BelaContext* context, int frame, int channel);
void audioWrite(BelaContext* context, int frame, int channel, float value);
int rt_printf(const char* format, ...);

bool setup(BelaContext* context, void* userData);
void render(BelaContext* context, void* userData);
void cleanup(BelaContext* context, void* userData);
